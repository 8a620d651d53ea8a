import type { Archive } from "../archive/archive.ts";
import { credentials, type Credentials } from "./credentials.ts";
import { oneEntry } from "./entries.ts";
import { CoreEntrySchema, type CoreEntry } from "./gen/process_pb.ts";
import { imageName } from "./image.ts";
import { attempt, notThere, type Tell } from "./problems.ts";

export interface Thread {
  readonly tid: number;
  readonly comm: string;
  readonly credentials: Credentials | undefined;
  readonly nice: number;
  readonly seccomp: "disabled" | "strict" | "filter" | "unknown";
  /** "x86-64", "aarch64", … */
  readonly architecture: string;
}

const ARCHITECTURES = ["unknown", "x86-64", "arm", "aarch64", "ppc64le", "s390x", "mips64", "loongarch64", "riscv64"];
const SECCOMP = ["disabled", "strict", "filter"] as const;

/** What CRIU keeps of a thread. Throws a UserError where its image is missing or damaged. */
export async function coreOf(archive: Archive, tid: number): Promise<CoreEntry> {
  const file = `core-${tid}.img`;
  const core = await oneEntry(archive, file, CoreEntrySchema);
  if (core === undefined) throw notThere(`${imageName(file)} is not in the archive`, `the process tree has a task ${tid}`);
  return core;
}

/** Threads by their ids. What cannot be read is told, and left out. */
export async function allThreads(archive: Archive, tids: readonly number[], tell: Tell): Promise<Thread[]> {
  const threads: Thread[] = [];
  for (const tid of tids) {
    const core = await attempt(tell, async () => await coreOf(archive, tid));
    if (core !== undefined) threads.push(thread(tid, core));
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

function thread(tid: number, core: CoreEntry): Thread {
  const { threadCore } = core;
  return {
    tid,
    comm: threadName(core),
    credentials: threadCore?.creds && credentials(threadCore.creds),
    nice: threadCore?.schedNice ?? 0,
    seccomp: SECCOMP[threadCore?.seccompMode ?? 0] ?? "unknown",
    architecture: architectureOf(core),
  };
}
