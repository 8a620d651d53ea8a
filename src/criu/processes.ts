import type { Archive } from "../archive/archive.ts";
import { credentials, type Credentials } from "./credentials.ts";
import { allEntries, oneEntry } from "./entries.ts";
import { CoreEntrySchema, FsEntrySchema, PstreeEntrySchema, type CoreEntry, type TaskCoreEntry } from "./gen/process_pb.ts";
import { TaskKobjIdsEntrySchema, type TaskKobjIdsEntry } from "./gen/namespaces_pb.ts";
import { hasImage } from "./image.ts";
import { allowance, type Spend } from "./limits.ts";
import { damaged, notThere } from "./problems.ts";
import { signalName, signalNames } from "./signals.ts";

/** A process of a checkpoint, by what it was called inside the container. */
export interface Process {
  readonly pid: number;
  readonly ppid: number;
  /** Its process group and session. */
  readonly pgid: number;
  readonly sid: number;
  /** The name of its main thread: 15 bytes at most. */
  readonly comm: string;
  /** "alive": running or sleeping, which CRIU does not tell apart. */
  readonly state: "alive" | "stopped" | "zombie" | "unknown";
  /** Of a zombie. */
  readonly exit: { readonly code: number } | { readonly signal: string } | undefined;
  readonly threads: readonly Thread[];
  /** Its OOM score adjustment. */
  readonly oomScoreAdjust: number | undefined;
  readonly limits: Readonly<Record<string, Limit>>;
  readonly signals: { readonly pending: readonly string[]; readonly blocked: readonly string[] };
  readonly timers: readonly string[];
  /** Which tables and namespaces it has: numbers that processes share where they share those. */
  readonly ids: TaskKobjIdsEntry | undefined;
  /** Ids in files.img of its working directory and root. */
  readonly cwdId: number | undefined;
  readonly rootId: number | undefined;
  readonly umask: number | undefined;
}

export interface Thread {
  readonly tid: number;
  readonly comm: string;
  readonly credentials: Credentials | undefined;
  readonly nice: number;
  readonly seccomp: "disabled" | "strict" | "filter" | "unknown";
  /** "x86-64", "aarch64", … */
  readonly architecture: string;
}

export interface Limit {
  readonly soft: number | "unlimited";
  readonly hard: number | "unlimited";
}

const PSTREE = "pstree.img";
const ARCHITECTURES = ["unknown", "x86-64", "arm", "aarch64", "ppc64le", "s390x", "mips64", "loongarch64", "riscv64"];
const SECCOMP = ["disabled", "strict", "filter"] as const;
const STATES: Readonly<Record<number, Process["state"]>> = { 1: "alive", 2: "zombie", 3: "stopped", 6: "zombie" };

/** All processes, parents before their children where CRIU wrote them so. Throws a UserError where an image is missing or damaged. */
export async function processes(archive: Archive, spend: Spend = allowance()): Promise<Process[]> {
  if (!hasImage(archive, PSTREE)) throw noImages(archive);
  const found = new Map<number, Process>();
  for await (const entry of allEntries(archive, PSTREE, PstreeEntrySchema)) {
    if (found.has(entry.pid)) throw damaged(`checkpoint/${PSTREE}`, `two processes ${entry.pid}`);
    spend(PSTREE, 1 + entry.threads.length, 0);
    found.set(entry.pid, await process(archive, entry));
  }
  return [...found.values()];
}

async function process(
  archive: Archive,
  { pid, ppid, pgid, sid, threads }: { pid: number; ppid: number; pgid: number; sid: number; threads: number[] },
): Promise<Process> {
  const core = await oneEntry(archive, `core-${pid}.img`, CoreEntrySchema);
  if (core === undefined) throw notThere(`checkpoint/core-${pid}.img is not in the archive`, `${PSTREE} lists a process ${pid}`);
  const task = core.tc;
  const fs = await oneEntry(archive, `fs-${pid}.img`, FsEntrySchema);
  const state = STATES[task?.taskState ?? 0] ?? "unknown";
  return {
    pid,
    ppid,
    pgid,
    sid,
    comm: task?.comm ?? "",
    state,
    exit: state === "zombie" && task !== undefined ? exit(task.exitCode) : undefined,
    // CRIU leaves the thread of a zombie unset.
    threads: state === "zombie" ? [] : await allThreads(archive, pid, threads, core),
    oomScoreAdjust: task?.oomScoreAdj,
    limits: limits(task),
    signals: {
      pending: [...(task?.signalsS?.signals ?? []), ...(core.threadCore?.signalsP?.signals ?? [])].map(({ siginfo }) =>
        signalName(siginfo[0] ?? 0),
      ),
      blocked: signalNames(task?.blkSigset ?? 0n),
    },
    timers: timers(task),
    ids: core.ids ?? (await oneEntry(archive, `ids-${pid}.img`, TaskKobjIdsEntrySchema)),
    cwdId: fs?.cwdId,
    rootId: fs?.rootId,
    umask: fs?.umask,
  };
}

async function allThreads(archive: Archive, pid: number, tids: readonly number[], leader: CoreEntry): Promise<Thread[]> {
  const threads: Thread[] = [];
  for (const tid of tids) {
    const core = tid === pid ? leader : await oneEntry(archive, `core-${tid}.img`, CoreEntrySchema);
    if (core === undefined)
      throw notThere(`checkpoint/core-${tid}.img is not in the archive`, `${PSTREE} lists a thread ${tid} of process ${pid}`);
    const { threadCore } = core;
    threads.push({
      tid,
      comm: threadCore?.comm || (core.tc?.comm ?? ""),
      credentials: threadCore?.creds && credentials(threadCore.creds),
      nice: threadCore?.schedNice ?? 0,
      seccomp: SECCOMP[threadCore?.seccompMode ?? 0] ?? "unknown",
      architecture: ARCHITECTURES[core.mtype] ?? `unknown (${core.mtype})`,
    });
  }
  return threads;
}

/** What wait(2) would tell. */
function exit(status: number): NonNullable<Process["exit"]> {
  const signal = status & 127;
  return signal === 0 ? { code: (status >> 8) & 255 } : { signal: signalName(signal) };
}

/** From sys/resource.h, by number. */
const LIMITS = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime".split(" ");

function limits(task: TaskCoreEntry | undefined): Record<string, Limit> {
  const value = (limit: bigint): number | "unlimited" => (limit === 2n ** 64n - 1n ? "unlimited" : Number(limit));
  const all = (task?.rlimits?.rlimits ?? [])
    .slice(0, LIMITS.length)
    .map(({ cur, max }, index) => [LIMITS[index], { soft: value(cur), hard: value(max) }]);
  return Object.fromEntries(all) as Record<string, Limit>;
}

/** The interval and POSIX timers that are set. */
function timers(task: TaskCoreEntry | undefined): string[] {
  const { real, virt, prof, posix = [] } = task?.timers ?? {};
  const set = (["real", "virtual", "profiling"] as const).filter((_, index) => {
    const timer = [real, virt, prof][index];
    return timer !== undefined && (timer.vsec !== 0n || timer.vusec !== 0n);
  });
  return [...set, ...posix.map(({ itId, siSigno }) => `posix ${itId}${siSigno === 0 ? "" : ` (${signalName(siSigno)})`}`)];
}

function noImages(archive: Archive): ReturnType<typeof notThere> {
  const elsewhere = [...archive.members.keys()].some((name) => name.startsWith("checkpoint/"));
  return notThere(
    `the archive has no process tree: checkpoint/${PSTREE} is not in it`,
    elsewhere ? "it is incomplete" : "CRIU's images are not in it; an images-dir in /etc/criu/runc.conf on the node sends them elsewhere",
  );
}
