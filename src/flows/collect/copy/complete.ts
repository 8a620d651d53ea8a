import { setTimeout as sleep } from "node:timers/promises";
import type { Unlock } from "../../../age/open.ts";
import { Budget } from "../../../archive/budget.ts";
import { openArchive } from "../../../archive/open.ts";
import { interruptedThreads } from "../../../criu/interrupted.ts";
import { statistics } from "../../../criu/statistics.ts";
import type { NodeDirectory } from "../../../helper/directory.ts";
import type { NodeFile } from "../../../helper/listing.ts";
import type { InterruptedThread } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { command, say } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";

const POLL_MS = 1000;
/** So many looks without a change: nobody writes it any more. */
const STILL = 5;
/** The archive appears under its final name and grows in the last seconds of a checkpoint; longer nobody writes one. */
const PATIENCE_MS = 60_000;

/** A file that was changed longer ago than this, by its node's clock, is not being written. In seconds. */
const SETTLED = 2;

/**
 * The file as it is once nobody writes it any more: it ends as a tar does, and its kubelet has said that it is done (`made`), or it has not
 * changed for some time. Whoever copies it compares its identity afterwards. Throws ArchiveUnfinished where that does not come.
 */
export async function completeFile(
  { emit, signal }: FlowContext,
  directory: NodeDirectory,
  archive: NodeArchive,
  made: boolean,
): Promise<NodeFile> {
  const name = directory.nameOf(archive.path);
  const lane = `wait ${location(archive)}`;
  const deadline = performance.now() + PATIENCE_MS;
  try {
    let before = await present(directory, archive);
    if (before.closed && (made || (before.age !== undefined && before.age > SETTLED))) return before;
    for (let still = 0; ;) {
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
      const now = await directory.stat(name);
      still = now.identity === before.identity ? still + 1 : 0;
      if (now.closed && still > 0) return now;
      if (still === STILL || performance.now() > deadline) throw unfinished(archive, now);
      emit({ kind: "activity", lane, text: say`waiting until ${location(archive)} is complete` });
      before = now;
    }
  } finally {
    emit({ kind: "idle", lane });
  }
}

async function present(directory: NodeDirectory, archive: NodeArchive): Promise<NodeFile> {
  try {
    return await directory.stat(directory.nameOf(archive.path));
  } catch (error) {
    if (!(error instanceof UserError && error.reason === "ArchiveNotFound")) throw error;
    throw new UserError({
      reason: "ArchiveNotFound",
      message: say`${location(archive)} not found`,
      fix: command`kubectl checkpoint ls --node ${archive.node} -A`,
      cause: error,
    });
  }
}

function unfinished(archive: NodeArchive, { bytes }: NodeFile): UserError {
  return new UserError({
    reason: "ArchiveUnfinished",
    message: say`${location(archive)} is incomplete`,
    why: `its ${bytes} bytes do not end as an archive does: its checkpoint failed, or is still running`,
    fix: "wait until its checkpoint has ended, or take another one",
  });
}

/** What the images of a copied archive say of the checkpoint, as far as they do. */
export interface Checked {
  readonly frozenSeconds?: number;
  readonly interrupted?: readonly InterruptedThread[];
}

/** Reads the copied archive as an archive: the chain of its headers must reach its end. Throws ArchiveUnfinished. */
export async function checkCopy(path: string, signal: AbortSignal, unlock?: Unlock): Promise<Checked> {
  await using archive = await openArchive(path, { signal, budget: Budget.withoutClock(), ...(unlock === undefined ? {} : { unlock }) });
  if (!archive.complete) {
    throw new UserError({
      reason: "ArchiveUnfinished",
      message: "the archive on the node is incomplete",
      why: archive.problems.join("; ") || undefined,
      fix: "wait until its checkpoint has ended, or take another one",
    });
  }
  const orNothing = async <T>(work: Promise<T>): Promise<T | undefined> => await work.catch(() => undefined);
  const frozenSeconds = (await orNothing(statistics(archive)))?.frozenSeconds;
  const interrupted = (await orNothing(interruptedThreads(archive)))?.threads;
  return { ...(frozenSeconds === undefined ? {} : { frozenSeconds }), ...(interrupted === undefined ? {} : { interrupted }) };
}
