import { setTimeout as sleep } from "node:timers/promises";
import type { NodeFile, NodeFiles } from "../../../helper/files.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { say } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";

const POLL_MS = 1000;
/** So many looks without a change: nobody writes it any more. */
const STILL = 5;
/** The archive appears under its final name and grows in the last seconds of a checkpoint; longer nobody writes one. */
const PATIENCE_MS = 60_000;

/**
 * The file as it is once nobody writes it any more: it ends as a tar does, and has not changed for a second.
 * Throws ArchiveUnfinished where that does not come.
 */
export async function completeFile(context: FlowContext, files: NodeFiles, archive: NodeArchive, name: string): Promise<NodeFile> {
  const { emit, signal } = context;
  const lane = `wait ${location(archive)}`;
  const deadline = performance.now() + PATIENCE_MS;
  try {
    let before = await present(files, archive, name, signal);
    if (before.closed && before.age !== undefined && before.age > 2) return before;
    for (let still = 0; ;) {
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
      const now = await files.stat(name, signal);
      still = now.identity === before.identity ? still + 1 : 0;
      if (now.closed && still > 0) return now;
      if (still === STILL || performance.now() > deadline) throw unfinished(archive, now);
      emit({ kind: "activity", lane, text: say`waiting: ${name} on ${archive.node} is not finished` });
      before = now;
    }
  } finally {
    emit({ kind: "idle", lane });
  }
}

async function present(files: NodeFiles, archive: NodeArchive, name: string, signal: AbortSignal): Promise<NodeFile> {
  try {
    return await files.stat(name, signal);
  } catch (error) {
    if (!(error instanceof UserError && error.reason === "ArchiveNotFound")) throw error;
    const message = `there is no archive ${name} on ${archive.node}`;
    throw new UserError({ reason: "ArchiveNotFound", message, fix: `kubectl checkpoint ls --node ${archive.node}`, cause: error });
  }
}

function unfinished(archive: NodeArchive, { bytes }: NodeFile): UserError {
  return new UserError({
    reason: "ArchiveUnfinished",
    message: `${location(archive)} is not a finished archive`,
    why: `its ${bytes} bytes do not end as a tar archive does: its checkpoint failed, or is still under way`,
    fix: "wait until the checkpoint has ended, or take it again",
  });
}
