import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Archive } from "../archive/archive.ts";
import { UserError } from "../model/error.ts";
import { given } from "./decode.ts";
import { allEntries, oneEntry } from "./entries.ts";
import { FsEntrySchema, PstreeEntrySchema, TaskCoreEntrySchema, type CoreEntry, type PstreeEntry } from "./gen/process_pb.ts";
import { TaskKobjIdsEntrySchema, type TaskKobjIdsEntry } from "./gen/namespaces_pb.ts";
import { hasImage, imageName } from "./image.ts";
import { attempt, damaged, notThere, type Tell } from "./problems.ts";
import { signalNames } from "./signals.ts";
import { exit, limits, pendingSignals, timers, type Exit, type Limit, type Timer } from "./task.ts";
import { allThreads, coreOf, type Thread } from "./threads.ts";

/** A process of a checkpoint, by what it was called inside the container. */
export interface Process {
  readonly pid: number;
  /** Its parent, process group and session; undefined where the archive has no process tree. */
  readonly ppid: number | undefined;
  readonly pgid: number | undefined;
  readonly sid: number | undefined;
  /** The name of its main thread: 15 bytes at most. */
  readonly comm: string;
  /** "alive": running or sleeping, which CRIU does not tell apart. */
  readonly state: "alive" | "stopped" | "zombie" | "unknown";
  /** Of a zombie. */
  readonly exit: Exit | undefined;
  readonly threads: readonly Thread[];
  /** Its OOM score adjustment. */
  readonly oomScoreAdjust: number | undefined;
  readonly limits: Readonly<Record<string, Limit>>;
  readonly signals: { readonly pending: readonly string[]; readonly blocked: readonly string[] };
  readonly timers: readonly Timer[];
  /** Whether children of its descendants become its own. */
  readonly subreaper: boolean;
  /** The user who logged in; undefined where nobody did. */
  readonly loginUid: number | undefined;
  /** Which tables and namespaces it has: numbers that processes share where they share those. */
  readonly ids: TaskKobjIdsEntry | undefined;
  /** Of its control groups, in cgroup.img; 0 where it is not told. */
  readonly cgroupSet: number;
  /** Ids in files.img of its working directory and root. */
  readonly cwdId: number | undefined;
  readonly rootId: number | undefined;
  readonly umask: number | undefined;
}

const PSTREE = "pstree.img";
const STATES: Readonly<Record<number, Process["state"]>> = { 1: "alive", 2: "zombie", 3: "stopped", 6: "zombie" };
/** loginuid of who never logged in: -1. */
const NO_LOGIN = 0xffffffff;

/** Each process counts as so many objects, each thread as a few less: much is known of it. */
const ITEMS_PER_PROCESS = 40;
const ITEMS_PER_THREAD = 8;

/** Of a process, by the core of its main thread. */
export function stateOf({ tc }: CoreEntry): Process["state"] {
  return STATES[tc?.taskState ?? 0] ?? "unknown";
}

type Placed = Pick<Process, "pid" | "ppid" | "pgid" | "sid"> & { readonly threads: readonly number[] };

/**
 * All processes, in the order of CRIU; without a process tree those that other images name, ascending. Throws a UserError where there
 * are none, or the tree is damaged; what else cannot be read goes to `tell`, and is left out.
 */
export async function processes(archive: Archive, tell: Tell): Promise<Process[]> {
  const found = new Map<number, Process>();
  const tasks = new Map<number, number>();
  for await (const entry of hasImage(archive, PSTREE) ? allEntries(archive, PSTREE, PstreeEntrySchema) : withoutTree(archive, tell)) {
    if (found.has(entry.pid)) throw damaged(imageName(PSTREE), `two processes ${entry.pid}`);
    archive.budget.keep(imageName(PSTREE), ITEMS_PER_PROCESS + ITEMS_PER_THREAD * entry.threads.length);
    const made = await process(archive, entry, tell);
    // CRIU leaves the thread of a zombie unset.
    for (const tid of [entry.pid, ...(made.state === "zombie" ? [] : entry.threads)]) {
      if ((tasks.get(tid) ?? entry.pid) !== entry.pid) throw damaged(imageName(PSTREE), `two processes have the thread ${tid}`);
      tasks.set(tid, entry.pid);
    }
    found.set(entry.pid, made);
  }
  if (found.size === 0) throw damaged(imageName(PSTREE), "it is empty");
  return [...found.values()];
}

/** Images of one process, by its pid or the id of a thread. */
const OF_TASK = /^checkpoint\/(core|mm|pagemap)-(\d+)\.img$/;

/** The processes that have memory or a main thread. Which threads are whose, nothing else tells. */
async function* withoutTree(archive: Archive, tell: Tell): AsyncGenerator<Placed> {
  const pids = new Set<number>();
  const tasks = new Set<number>();
  for (const name of archive.members.keys()) {
    const [, kind, id] = OF_TASK.exec(name) ?? [];
    if (id !== undefined) (kind === "core" ? tasks : pids).add(Number(id));
  }
  if (pids.size + tasks.size === 0) throw noImages(archive);
  const others: number[] = [];
  for (const id of [...new Set([...pids, ...tasks])].sort((a, b) => a - b)) {
    const core = tasks.has(id)
      ? await attempt(
          () => {},
          async () => await coreOf(archive, id),
        )
      : undefined;
    // CRIU keeps what a process has as a whole with its main thread.
    if (core?.tc !== undefined || pids.has(id))
      yield { pid: id, ppid: undefined, pgid: undefined, sid: undefined, threads: tasks.has(id) ? [id] : [] };
    else others.push(id);
  }
  tell(noTree(others));
}

/** Whether the archive has images of other tasks: of a tree that was cut short, or left of an earlier checkpoint, which Podman does. */
export function hasOtherTasks({ members }: Archive, all: readonly Process[]): boolean {
  const known = new Set(all.flatMap(({ pid, threads }) => [pid, ...threads.map(({ tid }) => tid)]));
  for (const name of members.keys()) {
    const [, kind, id] = OF_TASK.exec(name) ?? [];
    if (kind === "core" && !known.has(Number(id))) return true;
  }
  return false;
}

const MOST_IDS = 20;

function some(ids: readonly number[]): string {
  return `${ids.slice(0, MOST_IDS).join(", ")}${ids.length > MOST_IDS ? ` and ${ids.length - MOST_IDS} more` : ""}`;
}

function noTree(others: readonly number[]): UserError {
  const whose = others.length === 0 ? "" : `, nor whose threads ${some(others)} are`;
  return notThere(
    `${imageName(PSTREE)} is not in the archive: nothing tells who started whom${whose}`,
    "the processes are those that have memory or a main thread in the archive",
  );
}

async function process(archive: Archive, { pid, ppid, pgid, sid, threads }: Placed | PstreeEntry, tell: Tell): Promise<Process> {
  const core = await attempt(tell, async () => await coreOf(archive, pid));
  const task = core?.tc;
  const state = core === undefined ? "unknown" : stateOf(core);
  const lives = core !== undefined && state !== "zombie";
  const fs = await attempt(tell, async () => await entryOf(archive, `fs-${pid}.img`, FsEntrySchema, lives));
  const ids = await attempt(tell, async () => await entryOf(archive, `ids-${pid}.img`, TaskKobjIdsEntrySchema, lives && !core.ids));
  const loginUid = given(TaskCoreEntrySchema, task, "loginuid");
  const signals = [...(task?.signalsS?.signals ?? []), ...(core?.threadCore?.signalsP?.signals ?? [])];
  return {
    pid,
    ppid,
    pgid,
    sid,
    comm: task?.comm ?? "",
    state,
    exit: state === "zombie" && task !== undefined ? exit(task.exitCode) : undefined,
    threads: state === "zombie" ? [] : await allThreads(archive, threads, tell),
    oomScoreAdjust: given(TaskCoreEntrySchema, task, "oomScoreAdj"),
    limits: limits(task?.rlimits),
    signals: { pending: pendingSignals(signals), blocked: signalNames(task?.blkSigset ?? 0n) },
    timers: timers(task?.timers),
    subreaper: task?.childSubreaper ?? false,
    loginUid: loginUid === NO_LOGIN ? undefined : loginUid,
    ids: core?.ids ?? ids,
    cgroupSet: core?.threadCore?.cgSet || (task?.cgSet ?? 0),
    cwdId: fs?.cwdId,
    rootId: fs?.rootId,
    umask: given(FsEntrySchema, fs, "umask"),
  };
}

/** Throws a UserError where the image is damaged, or is missing though a living process has it. */
async function entryOf<D extends DescMessage>(
  archive: Archive,
  file: string,
  schema: D,
  needed: boolean,
): Promise<MessageShape<D> | undefined> {
  if (needed && !hasImage(archive, file)) throw notThere(`${imageName(file)} is not in the archive`, "every process that lives has one");
  return await oneEntry(archive, file, schema);
}

function noImages(archive: Archive): ReturnType<typeof notThere> {
  const elsewhere = [...archive.members.keys()].some((name) => name.startsWith(imageName("")));
  return notThere(
    `there is no process in the archive: neither ${imageName(PSTREE)} nor any core, mm or pagemap image is in it`,
    elsewhere ? "it is incomplete" : "CRIU's images are not in it; an images-dir in /etc/criu/runc.conf on the node sends them elsewhere",
  );
}

export function noSuchProcess(pid: number, all: readonly Process[]): UserError {
  const pids = all.map((process) => process.pid);
  return new UserError({
    reason: "NoSuchProcess",
    message: `there is no process ${pid} in this checkpoint`,
    why: `its processes are ${pids.slice(0, MOST_IDS).join(", ")}${pids.length > MOST_IDS ? " and more" : ""}`,
  });
}
