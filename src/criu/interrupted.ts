import type { Archive, Member } from "../archive/archive.ts";
import { pieces } from "../archive/sources.ts";
import { systemCallOf } from "./calls.ts";
import { allEntries, oneEntry } from "./entries.ts";
import { CoreEntrySchema, PstreeEntrySchema, type CoreEntry } from "./gen/process_pb.ts";
import { imageName } from "./image.ts";
import { threadName } from "./threads.ts";

/** Threads whose system call the checkpoint ended: in the original, and after a restore, it fails with EINTR. */
export interface Interruptions {
  readonly threads: readonly InterruptedThread[];
  /** How many more the log tells of, by numbers of the node that it does not relate to those in the container. */
  readonly unidentified: number;
}

export interface InterruptedThread {
  /** Inside the container. */
  readonly tid: number;
  readonly comm: string;
  /** "clock_nanosleep"; its number where it has no name here; undefined where the registers are of an architecture that is not read. */
  readonly call: string | undefined;
}

const LOG = "dump.log";

/** To decode a core image takes as long as so many steps. */
const CORE_STEPS = 64;

/** The members that interruptedThreads() reads: for archives that are read in one pass. */
export function tellsOfInterruptions({ name }: Member): boolean {
  return name === LOG || /^checkpoint\/(pstree|core-\d+)\.img$/.test(name);
}

/**
 * On x86-64 the registers tell it, whatever the log says: CRIU warns of calls that the kernel would have restarted, not of epoll_wait. On
 * other architectures the log alone does. Throws a UserError where the process tree, a core image or the log cannot be read.
 */
export async function interruptedThreads(archive: Archive): Promise<Interruptions> {
  const log = await readLog(archive);
  const threads: InterruptedThread[] = [];
  const warned = new Set<number>();
  const seen = new Set<number>();
  for await (const { pid, threads: tids } of allEntries(archive, "pstree.img", PstreeEntrySchema)) {
    archive.budget.keep(imageName("pstree.img"), 1 + tids.length);
    const hosts = log.hostThreads(pid, tids);
    for (const [index, tid] of tids.entries()) {
      // A damaged tree can have a thread twice.
      if (seen.has(tid)) continue;
      seen.add(tid);
      archive.budget.step(CORE_STEPS);
      const file = `core-${tid}.img`;
      const core = await oneEntry(archive, file, CoreEntrySchema);
      const host = hosts?.[index];
      const isWarnedOf = host !== undefined && log.warned.has(host);
      if (isWarnedOf) warned.add(host);
      const call = core && systemCallOf(core, imageName(file));
      // Names of files stand in the log too, so that where the registers say something else they are right.
      const isInterrupted = call === undefined || call.state === "last" ? isWarnedOf : call.state === "interrupted";
      if (!isInterrupted) continue;
      threads.push({ tid, comm: nameOf(core), call: call && (call.name ?? String(call.number)) });
    }
  }
  const found = threads.length - warned.size;
  return { threads, unidentified: Math.max(0, log.warned.size - warned.size - found) };
}

function nameOf(core: CoreEntry | undefined): string {
  return core === undefined ? "" : threadName(core);
}

interface DumpLog {
  /** Thread ids of the node that CRIU warned of. */
  readonly warned: ReadonlySet<number>;
  /** The ids on the node of a process's threads, in the order of the process tree, its main thread first; undefined where the log does not tell. */
  hostThreads(pid: number, tids: readonly number[]): readonly number[] | undefined;
}

const WARNED = /^\(\d+\.\d+\) Warn +\(\S+\): Will restore (\d+) with interrupted system call$/;
const TASK = /^\(\d+\.\d+\) Dumping task \(pid: (\d+)/;
const THREAD = /^\(\d+\.\d+\) Dumping core for thread \(pid: (\d+)\)$/;
/** Of the task that is being dumped, as it sees itself. */
const INSIDE = /^\(\d+\.\d+\) sid=\d+ pgid=\d+ pid=(\d+)$/;

/** CRIU logs one task after the other: its id on the node, then that in the container, then its other threads as the tree lists them. */
async function readLog(archive: Archive): Promise<DumpLog> {
  const warned = new Set<number>();
  const tasks = new Map<number, number[]>();
  let hosts: number[] = [];
  const number = (expression: RegExp, line: string): number | undefined => {
    const digits = expression.exec(line)?.[1];
    if (digits === undefined) return undefined;
    archive.budget.keep(LOG, 1);
    return Number(digits);
  };
  for await (const line of logLines(archive)) {
    const [warning, task, thread, pid] = [number(WARNED, line), number(TASK, line), number(THREAD, line), number(INSIDE, line)];
    if (warning !== undefined) warned.add(warning);
    else if (task !== undefined) hosts = [task];
    else if (thread !== undefined) hosts.push(thread);
    else if (pid !== undefined) tasks.set(pid, hosts);
  }
  return {
    warned,
    hostThreads: (pid, tids) => {
      const known = tasks.get(pid);
      return known?.length === tids.length && tids[0] === pid ? known : undefined;
    },
  };
}

/** Longer lines are cut: nothing that is looked for stands in them. */
const LONGEST_LINE = 1 << 16;

async function* logLines(archive: Archive): AsyncGenerator<string> {
  if (!archive.members.has(LOG)) return;
  let rest = "";
  for await (const piece of pieces(archive.open(LOG))) {
    const lines = (rest + piece.toString("latin1")).split("\n");
    rest = (lines.pop() ?? "").slice(0, LONGEST_LINE);
    yield* lines;
  }
  yield rest;
}
