import { setTimeout as sleep } from "node:timers/promises";
import type { NodeFile, NodeFiles } from "../../helper/files.ts";
import { UserError } from "../../model/error.ts";
import { location, type NodeArchive } from "../../model/location.ts";
import { say } from "../../model/phrase.ts";
import type { FlowContext } from "../context.ts";

const POLL_MS = 1000;
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
    for (let before = await files.stat(name, signal); ;) {
      if (before.closed && before.age !== undefined && before.age > 2) return before;
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
      const now = await files.stat(name, signal);
      if (now.closed && now.identity === before.identity) return now;
      if (now.identity === before.identity || performance.now() > deadline) throw unfinished(archive, now);
      emit({ kind: "activity", lane, text: say`waiting: ${name} is still being written on ${archive.node}` });
      before = now;
    }
  } finally {
    emit({ kind: "idle", lane });
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
