import type { Member, OpenArchive, Reading } from "../../archive/archive.ts";
import { ENGINE_FILES, engineOf } from "../../archive/engines/engine.ts";
import type { CheckpointInfo } from "../../archive/engines/info.ts";
import { openArchive } from "../../archive/open.ts";
import { readRecord } from "../../archive/record.ts";
import { interruptedThreads, tellsOfInterruptions, type InterruptedThread } from "../../criu/interrupted.ts";
import { statistics } from "../../criu/statistics.ts";
import { memorySize } from "../../criu/totals.ts";
import { UserError } from "../../model/error.ts";
import { list, number, object } from "../../model/json.ts";

/** What an archive is, in short: as much as can be told without looking into its memory. */
export interface Summary {
  readonly path: string;
  readonly info: CheckpointInfo;
  /** Of the file as it lies there; undefined for a pipe. */
  readonly bytes: number | undefined;
  readonly compression: OpenArchive["compression"];
  /** Of CRIU's images, the memory among them; undefined where the archive breaks off. */
  readonly imagesBytes: number | undefined;
  /** Of all memory in the archive; undefined where it breaks off. */
  readonly memoryBytes: number | undefined;
  /** Of the root file system's change as it lies in the archive; undefined where there is none. */
  readonly rootfsDiffBytes: number | undefined;
  /** How long CRIU itself froze the processes, a lower bound of the pause; undefined where the engine kept no statistics. */
  readonly frozenSeconds: number | undefined;
  /** How long the container may have been paused, an upper bound; undefined where no record beside the archive says it. */
  readonly pausedSeconds: number | undefined;
  /** Threads whose system call the checkpoint interrupted; undefined where that cannot be read. */
  readonly interrupted: readonly InterruptedThread[] | undefined;
  /** What could not be read, and where the archive breaks off: a sentence each. */
  readonly problems: readonly string[];
}

/**
 * Reads an archive's summary, in one pass where it is compressed; of a pod's archive, one of each container. Throws a UserError where it
 * holds no readable checkpoint.
 */
export async function* summaries(path: string, reading: Reading): AsyncGenerator<Summary, void> {
  await using archive = await openArchive(path, { ...reading, keep: isWanted, pods: true });
  if (archive.pod === undefined) yield await summarize(path, archive);
  for (const { directory } of archive.pod?.containers ?? []) {
    const { containerIn } = await import("../../archive/containers/unwrap.ts");
    yield await summarize(path, containerIn(archive, directory));
  }
}

async function summarize(path: string, archive: OpenArchive): Promise<Summary> {
  const problems = [...archive.problems];
  const { bytes, compression, complete, members, hostile } = archive;
  if (hostile.length > 0) problems.push(`${hostile.length} members have hostile names`);
  return {
    path,
    info: await engineOf(archive),
    bytes,
    compression,
    // Of an archive that breaks off, the sums would be of a part.
    imagesBytes: complete ? imagesSize(members) : undefined,
    memoryBytes: complete ? memorySize(archive) : undefined,
    rootfsDiffBytes: members.get("rootfs-diff.tar")?.size,
    frozenSeconds: await attempt(problems, async () => (await statistics(archive))?.frozenSeconds),
    pausedSeconds: await pausedSeconds(path),
    interrupted: complete ? await attempt(problems, async () => (await interruptedThreads(archive)).threads) : undefined,
    problems,
  };
}

function isWanted(member: Member): boolean {
  return ENGINE_FILES.has(member.name) || member.name === "stats-dump" || tellsOfInterruptions(member);
}

/** Of the record beside the archive. */
async function pausedSeconds(path: string): Promise<number | undefined> {
  const [item, ...others] = list((await readRecord(path))?.["items"]);
  return others.length > 0 ? undefined : number(object(item)["pausedSeconds"]);
}

async function attempt<T>(problems: string[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}

function imagesSize(members: ReadonlyMap<string, Member>): number {
  let bytes = 0;
  for (const { name, size } of members.values()) if (name.startsWith("checkpoint/")) bytes += size;
  return bytes;
}
