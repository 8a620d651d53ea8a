import type { Process } from "../../../criu/processes.ts";
import type { DeadlockItem } from "../../../model/inspection.ts";
import { deadlocks, type WaitNode } from "../../../threads/deadlocks.ts";
import type { LockWait } from "../../../threads/locks/wait.ts";
import type { Connections } from "./connections.ts";
import { endWait, isEndless, processesText } from "./ends.ts";
import type { SeenThread } from "./threads.ts";

/** A thread that cannot go on before others do, and why. */
interface Waiter extends WaitNode {
  readonly thread: SeenThread;
  /** "a lock that $ holds": $ is the thread that it needs. */
  readonly what: string;
  /** Whether any thread of the processes that it needs would do. */
  readonly needsProcess: boolean;
}

export interface Checkpoint {
  readonly processes: readonly Process[];
  /** Whether all processes, threads and descriptors could be read: else somebody may be missing who ends a wait. */
  readonly isWhole: boolean;
}

/** Threads that wait for each other for ever. Only what certainly waits without a limit of time is counted, and only where all who could end that are known. */
export function deadlockItems(seen: readonly SeenThread[], { processes, isWhole }: Checkpoint, connections: Connections): DeadlockItem[] {
  const waiters = new Map<string, Waiter>();
  const nodes = new Map<string, WaitNode>();
  const tids = new Map(processes.map(({ pid, threads }) => [pid, threads.map(({ tid }) => tid)]));
  const hasFlying = [...(connections.queues?.sockets.values() ?? [])].some(({ files }) => files.length > 0);
  const signalled = new Set(processes.filter(getsSignals).map(({ pid }) => pid));
  for (const thread of seen) {
    const others = (): Waiter | undefined =>
      signalled.has(thread.pid)
        ? undefined
        : ((hasFlying ? undefined : endWaiter(thread, connections, tids)) ?? childWaiter(thread, processes));
    const waiter = lockWaiter(thread) ?? others();
    if (waiter !== undefined) waiters.set(threadKey(thread.pid, thread.tid), waiter);
  }
  for (const [key, waiter] of waiters) nodes.set(key, waiter);
  // A process does nothing more where none of its threads does; one that is not alive does nothing anyway, and never will.
  for (const { pid, threads, state } of isWhole ? processes : []) {
    if (state === "alive" && threads.length > 0 && !signalled.has(pid))
      nodes.set(processKey(pid), { needs: threads.map(({ tid }) => threadKey(pid, tid)) });
  }
  return deadlocks(nodes).flatMap((group) => {
    const members = group.flatMap((key) => waiters.get(key) ?? []);
    const first = members.reduce<Waiter | undefined>(
      (least, one) => (least === undefined || one.thread.tid < least.thread.tid ? one : least),
      undefined,
    );
    if (first === undefined) return [];
    const ring = ringFrom(first, new Set(group), waiters, nodes);
    return { threads: ring.map(({ thread: { pid, tid } }) => ({ pid, tid })), text: sentence(ring, processes) };
  });
}

/** A signal that it has set a timer for, or that is on its way, ends system calls, and its handler may do what others wait for. */
function getsSignals({ timers, signals }: Process): boolean {
  return signals.pending.length > 0 || timers.some(({ signal, expiresInSeconds }) => signal !== undefined && expiresInSeconds > 0);
}

function threadKey(pid: number, tid: number): string {
  return `thread ${pid} ${tid}`;
}

function processKey(pid: number): string {
  return `process ${pid}`;
}

const LOCKS: Readonly<Partial<Record<LockWait["kind"], string>>> = {
  mutex: "a lock that $ holds",
  "read-write lock": "a read-write lock that $ holds",
  FILE: "a stream (FILE) that $ has locked",
  thread: "the end of $",
  "Python RLock": "a Python RLock that $ holds",
};

function lockWaiter(thread: SeenThread): Waiter | undefined {
  const { call, lock } = thread;
  const what = lock && LOCKS[lock.kind];
  if (call === undefined || lock?.owner === undefined || what === undefined || !isEndless(call)) return undefined;
  const { owner } = lock;
  if (owner.kind === "thread") return { thread, what, needsProcess: false, needs: [threadKey(owner.pid, owner.tid)] };
  return call.futex?.operation === "WAIT" ? { thread, what, needsProcess: false, needs: [] } : undefined;
}

/** Who waits for pipes or connections whose other ends all belong to other processes of the container. */
function endWaiter(thread: SeenThread, connections: Connections, tids: ReadonlyMap<number, readonly number[]>): Waiter | undefined {
  const { pid, tid } = thread;
  const wait = thread.call && endWait(thread.call, pid, connections);
  if (wait === undefined) return undefined;
  const { text, pids, sharers } = wait;
  // Who else has an epoll may have it watch more, and so may each other thread of the process.
  const siblings = sharers === undefined ? [] : (tids.get(pid) ?? []).filter((one) => one !== tid).map((one) => threadKey(pid, one));
  return { thread, what: text, needsProcess: true, needs: [...[...pids, ...(sharers ?? [])].map(processKey), ...siblings] };
}

/** Who waits for a child to end. */
function childWaiter(thread: SeenThread, processes: readonly Process[]): Waiter | undefined {
  const { call, pid } = thread;
  if (call?.child === undefined || !/^(any|\d+)$/.test(call.child) || !isEndless(call)) return undefined;
  const children = processes.filter((one) => one.ppid === pid && (call.child === "any" || String(one.pid) === call.child));
  if (children.length === 0 || children.some(({ state }) => state !== "alive")) return undefined;
  const pids = children.map((child) => child.pid);
  return { thread, what: `the end of ${processesText(pids)}`, needsProcess: true, needs: pids.map(processKey) };
}

/** From one thread on to those that it needs, until one comes again. */
function ringFrom(
  first: Waiter,
  group: ReadonlySet<string>,
  waiters: ReadonlyMap<string, Waiter>,
  nodes: ReadonlyMap<string, WaitNode>,
): Waiter[] {
  const ring: Waiter[] = [];
  for (let at: Waiter | undefined = first; at !== undefined && !ring.includes(at);) {
    ring.push(at);
    const need: string | undefined = at.needs.find((key) => group.has(key));
    const inside: string | undefined =
      need === undefined || waiters.has(need) ? need : nodes.get(need)?.needs.find((key) => group.has(key));
    at = inside === undefined ? undefined : waiters.get(inside);
  }
  return ring;
}

function sentence(ring: readonly Waiter[], processes: readonly Process[]): string {
  const pids = new Set(ring.map(({ thread }) => thread.pid));
  const named = ({ pid, tid }: SeenThread): string => (pids.size > 1 ? `thread ${tid} of process ${pid}` : `thread ${tid}`);
  const [first] = ring;
  if (first === undefined) return "";
  if (first.needs.length === 0) return `${named(first.thread)} waits for ${goneText(first, processes)}`;
  const clauses = ring.map((waiter, index) => {
    const next = ring[(index + 1) % ring.length]?.thread ?? waiter.thread;
    const before = ring[index - 1];
    const again = before?.what === waiter.what && !waiter.needsProcess;
    const what = (again ? waiter.what.replace(/^an? [^$]*? that/, "one that") : waiter.what).replace(
      "$",
      next === waiter.thread ? "it" : named(next),
    );
    const link = before === undefined ? named(waiter.thread) : before.needsProcess ? `; ${named(waiter.thread)}` : ", which";
    return `${link} waits for ${what}`;
  });
  return `${clauses.join("")}${ring.length === 1 && !first.needsProcess ? " itself" : ""}`;
}

/** Of a lock that no thread of the process has, and none can release. */
function goneText({ thread: { pid, lock } }: Waiter, processes: readonly Process[]): string {
  const owner = lock?.owner;
  const parents = new Map(processes.map((process) => [process.pid, process.ppid]));
  const ancestors = new Set<number>();
  for (let at = parents.get(pid); at !== undefined && !ancestors.has(at); at = parents.get(at)) ancestors.add(at);
  return ancestors.has(owner?.pid ?? -1)
    ? `a lock that thread ${owner?.tid} of process ${owner?.pid} locked before a fork: no thread of process ${pid} can release it`
    : `a lock that thread ${owner?.tid} locked, which has ended, or locked it before a fork: no thread of process ${pid} can release it`;
}
