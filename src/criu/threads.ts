import type { Archive } from "../archive/archive.ts";
import { credentials, type Credentials } from "./credentials.ts";
import { oneEntry } from "./entries.ts";
import { CoreEntrySchema, type CoreEntry } from "./gen/process_pb.ts";
import { imageName } from "./image.ts";
import { attempt, notThere, type Tell } from "./problems.ts";
import { signalName } from "./signals.ts";

export interface Thread {
  readonly tid: number;
  readonly comm: string;
  readonly credentials: Credentials | undefined;
  readonly nice: number;
  /** Of sched(7): "other", "fifo", "rr", … */
  readonly scheduling: string;
  readonly priority: number;
  readonly seccomp: "disabled" | "strict" | "filter" | "unknown";
  /** Of the filter that was installed first, in seccomp.img; undefined without one. */
  readonly seccompFilter: number | undefined;
  /** What it gets when its parent ends; undefined where nothing is asked for. */
  readonly parentDeathSignal: string | undefined;
  /** "x86-64", "aarch64", … */
  readonly architecture: string;
}

const ARCHITECTURES = ["unknown", "x86-64", "arm", "aarch64", "ppc64le", "s390x", "mips64", "loongarch64", "riscv64"];
const SECCOMP = ["disabled", "strict", "filter"] as const;
const FILTER = 2;
const SCHEDULING = ["other", "fifo", "rr", "batch", "iso", "idle", "deadline", "ext"];

/** What CRIU keeps of a thread. Throws a UserError where its image is missing or damaged. */
export async function coreOf(archive: Archive, tid: number): Promise<CoreEntry> {
  const file = `core-${tid}.img`;
  const core = await oneEntry(archive, file, CoreEntrySchema);
  if (core === undefined) throw notThere(`${imageName(file)} is not in the archive`, `the process tree has a task ${tid}`);
  return core;
}

/** Threads by their ids. What cannot be read goes to `tell`, and is left out. */
export async function allThreads(archive: Archive, tids: readonly number[], tell: Tell): Promise<Thread[]> {
  const threads: Thread[] = [];
  // Threads of a process nearly always have the same: it is kept once.
  const known = new Map<string, Credentials>();
  for (const tid of tids) {
    const core = await attempt(tell, async () => await coreOf(archive, tid));
    if (core !== undefined) threads.push(thread(tid, core, known));
  }
  return threads;
}

/** The name of a thread: 15 bytes at most. */
export function threadName({ tc, threadCore }: CoreEntry): string {
  return threadCore?.comm || (tc?.comm ?? "");
}

/** "x86-64", "aarch64", … */
export function architectureOf({ mtype }: CoreEntry): string {
  return ARCHITECTURES[mtype] ?? `unknown (${mtype})`;
}

function thread(tid: number, core: CoreEntry, known: Map<string, Credentials>): Thread {
  const { threadCore, tc } = core;
  const { schedNice = 0, schedPolicy = 0, schedPrio = 0, pdeathSig = 0 } = threadCore ?? {};
  // Before CRIU 3.8 it stood with the process.
  const [mode, filter] =
    threadCore === undefined || (threadCore.seccompMode === 0 && tc !== undefined && tc.oldSeccompMode !== 0)
      ? [tc?.oldSeccompMode ?? 0, tc?.oldSeccompFilter ?? 0]
      : [threadCore.seccompMode, threadCore.seccompFilter];
  return {
    tid,
    comm: threadName(core),
    credentials: credentialsOf(core, known),
    nice: schedNice,
    scheduling: SCHEDULING[schedPolicy] ?? String(schedPolicy),
    priority: schedPrio,
    seccomp: SECCOMP[mode] ?? "unknown",
    seccompFilter: mode === FILTER ? filter : undefined,
    parentDeathSignal: pdeathSig === 0 ? undefined : signalName(pdeathSig),
    architecture: architectureOf(core),
  };
}

function credentialsOf({ threadCore }: CoreEntry, known: Map<string, Credentials>): Credentials | undefined {
  if (threadCore?.creds === undefined) return undefined;
  const made = credentials(threadCore.creds);
  const key = JSON.stringify(made);
  const same = known.get(key) ?? made;
  known.set(key, same);
  return same;
}
