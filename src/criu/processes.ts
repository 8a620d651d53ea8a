import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Archive } from "../archive/archive.ts";
import { UserError } from "../model/error.ts";
import { allEntries, oneEntry } from "./entries.ts";
import { FsEntrySchema, PstreeEntrySchema, type CoreEntry, type PstreeEntry } from "./gen/process_pb.ts";
import { TaskKobjIdsEntrySchema, type TaskKobjIdsEntry } from "./gen/namespaces_pb.ts";
import { hasImage, imageName } from "./image.ts";
import { ITEMS_PER_PROCESS, type Spend } from "./limits.ts";
import { attempt, damaged, notThere, type Tell } from "./problems.ts";
import { signalName, signalNames } from "./signals.ts";
import { exit, limits, timers, type Exit, type Limit } from "./task.ts";
import { allThreads, coreOf, type Thread } from "./threads.ts";

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
  readonly exit: Exit | undefined;
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

const PSTREE = "pstree.img";
const STATES: Readonly<Record<number, Process["state"]>> = { 1: "alive", 2: "zombie", 3: "stopped", 6: "zombie" };

/** Of a process, by the core of its main thread. */
export function stateOf({ tc }: CoreEntry): Process["state"] {
  return STATES[tc?.taskState ?? 0] ?? "unknown";
}

/**
 * All processes, in the order of CRIU. Throws a UserError where there is no process tree or it is damaged; what else
 * cannot be read is told, and left out.
 */
export async function processes(archive: Archive, spend: Spend, tell: Tell): Promise<Process[]> {
  if (!hasImage(archive, PSTREE)) throw noImages(archive);
  const found = new Map<number, Process>();
  for await (const entry of allEntries(archive, PSTREE, PstreeEntrySchema)) {
    if (found.has(entry.pid)) throw damaged(imageName(PSTREE), `two processes ${entry.pid}`);
    spend(imageName(PSTREE), ITEMS_PER_PROCESS + entry.threads.length, 0);
    found.set(entry.pid, await process(archive, entry, tell));
  }
  if (found.size === 0) throw damaged(imageName(PSTREE), "it is empty");
  return [...found.values()];
}

async function process(archive: Archive, { pid, ppid, pgid, sid, threads }: PstreeEntry, tell: Tell): Promise<Process> {
  const core = await attempt(tell, async () => await coreOf(archive, pid));
  const task = core?.tc;
  const state = core === undefined ? "unknown" : stateOf(core);
  const lives = core !== undefined && state !== "zombie";
  const fs = await attempt(tell, async () => await entryOf(archive, `fs-${pid}.img`, FsEntrySchema, lives));
  const ids = await attempt(tell, async () => await entryOf(archive, `ids-${pid}.img`, TaskKobjIdsEntrySchema, lives && !core.ids));
  const signals = [...(task?.signalsS?.signals ?? []), ...(core?.threadCore?.signalsP?.signals ?? [])];
  return {
    pid,
    ppid,
    pgid,
    sid,
    comm: task?.comm ?? "",
    state,
    exit: state === "zombie" && task !== undefined ? exit(task.exitCode) : undefined,
    // CRIU leaves the thread of a zombie unset.
    threads: state === "zombie" ? [] : await allThreads(archive, threads, tell),
    oomScoreAdjust: task?.oomScoreAdj,
    limits: limits(task?.rlimits),
    signals: {
      // The signal's number in the byte order of its machine.
      pending: signals.map(({ siginfo }) => signalName(siginfo[0] || (siginfo[3] ?? 0))),
      blocked: signalNames(task?.blkSigset ?? 0n),
    },
    timers: timers(task?.timers),
    ids: core?.ids ?? ids,
    cwdId: fs?.cwdId,
    rootId: fs?.rootId,
    umask: fs?.umask,
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
  const elsewhere = [...archive.members.keys()].some((name) => name.startsWith("checkpoint/"));
  return notThere(
    `the archive has no process tree: checkpoint/${PSTREE} is not in it`,
    elsewhere ? "it is incomplete" : "CRIU's images are not in it; an images-dir in /etc/criu/runc.conf on the node sends them elsewhere",
  );
}

export function noSuchProcess(pid: number, all: readonly Process[]): UserError {
  const pids = all.map((process) => process.pid);
  return new UserError({
    reason: "NoSuchProcess",
    message: `there is no process ${pid} in this checkpoint`,
    why: `its processes are ${pids.slice(0, 20).join(", ")}${pids.length > 20 ? " and more" : ""}`,
  });
}
