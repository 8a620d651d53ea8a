import type {
  CallDescriptorItem,
  DeadlockItem,
  LockItemOfThread,
  ProcessItem,
  ThreadCallItem,
  ThreadItem,
} from "../../model/inspection.ts";
import { command, hanging, joined, say, styled, type Phrase } from "../../model/phrase.ts";
import { holders } from "./descriptors.ts";
import { heading, type View } from "./view.ts";

/** Threads that wait for each other for ever. */
export function* deadlocksView(deadlocks: readonly DeadlockItem[] = []): Generator<View> {
  if (deadlocks.length === 0) return;
  yield heading(say`Deadlocks`);
  for (const { text } of deadlocks) yield say`${text}`;
}

/** What each thread of a process was doing. */
export function* threadsView({ pid, state, threads }: ProcessItem): Generator<Phrase> {
  yield say`\nThreads of process ${pid}:`;
  if (threads.length === 0) yield state === "zombie" ? say`none` : say`not in the archive, or not readable`;
  for (const thread of threads) yield* threadView(thread, pid, state);
  if (threads.some(({ waitsFor }) => waitsFor?.anonymous === true && waitsFor.kind.startsWith("Python"))) {
    yield say`Python's locks do not record who holds them; the lines of code that the threads are in tell it:`;
    yield say`  ${command`kubectl checkpoint extract FILE --core --pid ${pid}`}`;
    yield say`  ${command`py-spy dump --core ${`core.${pid}`}`}`;
  }
}

const REGISTERS_PER_LINE = 2;

function* threadView(thread: ThreadItem, pid: number, state: string): Generator<Phrase> {
  const { tid, comm, call, waitsFor, instruction, registers } = thread;
  yield say`  ${styled("strong", say`${tid} ${comm}`)}${state === "stopped" ? ", stopped" : ""}`;
  if (registers === undefined || instruction === undefined) {
    yield line("state", say`unknown: its registers are not readable, or of an architecture that is not read`);
    return;
  }
  yield line("call", call === undefined ? say`none: it was running` : callText(call));
  for (const descriptor of call?.descriptors ?? []) yield line("", descriptorText(descriptor));
  if (waitsFor !== undefined) yield line("waits for", lockText(waitsFor, pid));
  const { address, module, offset, symbol } = instruction;
  yield line("at", module === undefined ? say`${address}` : say`${module}+${offset ?? ""}${symbol === undefined ? "" : say` (${symbol})`}`);
  const all = Object.entries(registers);
  for (let at = 0; at < all.length; at += REGISTERS_PER_LINE) {
    const row = all.slice(at, at + REGISTERS_PER_LINE).map(([name, value]) => `${name} ${value}`.padEnd(28));
    yield line(at === 0 ? "registers" : "", say`${row.join("").trimEnd()}`);
  }
}

function line(label: string, text: Phrase): Phrase {
  return hanging(say`    ${label.padEnd(11)}${text}`, 15);
}

const STATES = {
  waiting: "waiting; a restored thread enters it again",
  interrupted: "was waiting; it returns EINTR",
  returned: "had just returned",
  last: "the last system call: whether it is over is not known",
} as const;

function callText(call: ThreadCallItem): Phrase {
  const { name, number, state, result, probably } = call;
  const called = probably === undefined ? (name ?? `system call ${number}`) : `${name}, probably ${probably}`;
  return say`${called}(${argumentsText(call)})${timeoutText(call)}: ${STATES[state]}${result === undefined ? "" : ` ${result}`}`;
}

/** What they mean, where that is said of the call; else the six words. */
function argumentsText({ name, arguments: words, descriptors, timeoutSeconds, until, futex, child }: ThreadCallItem): string {
  if (futex !== undefined) return `${futex.address}, ${futex.operation}${futex.private ? "|PRIVATE" : ""}, ${futex.value}`;
  if (descriptors !== undefined) return descriptors.map(({ fd }) => fd).join(", ");
  if (child !== undefined) return child;
  return timeoutSeconds !== undefined || until !== undefined || name === "pause" ? "" : words.join(", ");
}

function timeoutText({ timeoutSeconds, until }: ThreadCallItem): string {
  if (timeoutSeconds !== undefined) return ` for at most ${Number(timeoutSeconds.toFixed(3))}s`;
  if (until === undefined) return "";
  const at = until.clock === "realtime" ? dateOf(until.seconds) : undefined;
  return at === undefined ? ` until the ${until.clock} clock shows ${Number(until.seconds.toFixed(3))}s` : ` until ${at}`;
}

/** Undefined of times that no calendar has. */
function dateOf(seconds: number): string | undefined {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** Of what an epoll watches, so many are named. */
const MOST_WATCHES = 16;

function descriptorText({ fd, type, name, events = [], protocol, state, local, remote, otherEnds, watches }: CallDescriptorItem): Phrase {
  const endpoints = [local || undefined, remote ? `to ${remote}` : undefined].filter((part) => part !== undefined);
  const what =
    protocol === undefined ? (name === "" ? type : name) : [protocol, state, ...(endpoints.length > 0 ? endpoints : [name])].join(" ");
  const parts = [
    events.length === 0 ? "" : `for ${events.join(" ")}`,
    otherEnds === undefined
      ? ""
      : otherEnds.length === 0
        ? "no process of the container has the other end"
        : `other end ${holders(otherEnds)}`,
    watches === undefined ? "" : watchesText(watches),
  ].filter((part) => part !== "");
  return joined([say`fd ${fd} is ${what}`, ...parts.map((part) => say`${part}`)], ", ");
}

function watchesText(watches: NonNullable<CallDescriptorItem["watches"]>): string {
  if (watches.length === 0) return "watches nothing";
  const some = watches.slice(0, MOST_WATCHES).map(({ fd, name, type }) => `${fd} (${name || type})`);
  return `watches ${some.join(", ")}${watches.length > MOST_WATCHES ? ` and ${watches.length - MOST_WATCHES} more` : ""}`;
}

function lockText({ kind, address, owner, anonymous }: LockItemOfThread, own: number): Phrase {
  if (kind === "futex") return say`a futex at ${address}: what it belongs to is not known`;
  const what = say`${kind} at ${address}`;
  if (anonymous === true) return say`${what}: this kind does not record who holds it`;
  if (owner === undefined) return say`${what}: who holds it is not known`;
  const { tid, pid, exists } = owner;
  if (kind === "thread") return say`the end of thread ${tid}`;
  if (exists) return say`${what}, held by thread ${tid}${pid === undefined || pid === own ? "" : ` of process ${pid}`}`;
  return say`${what}, locked by thread ${tid}, which is no thread of this process: it has ended, or locked it before a fork`;
}
