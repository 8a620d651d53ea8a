import { Budget } from "../../../archive/budget.ts";
import { openArchive } from "../../../archive/open.ts";
import { statistics } from "../../../criu/statistics.ts";
import { UserError } from "../../../model/error.ts";

/**
 * Reads the copied archive as an archive: the chain of its headers must reach its end. Answers with how long CRIU says that the
 * processes stood still; undefined where it does not tell. Throws ArchiveUnfinished.
 */
export async function checkArchive(path: string, signal: AbortSignal): Promise<number | undefined> {
  await using archive = await openArchive(path, { signal, budget: Budget.withoutClock() });
  if (!archive.complete) {
    throw new UserError({
      reason: "ArchiveUnfinished",
      message: "the archive on the node is not finished",
      why: archive.problems.join("; ") || undefined,
      fix: "wait until its checkpoint has ended, or take it again",
    });
  }
  return await statistics(archive).then(
    (found) => found?.frozenSeconds,
    () => undefined,
  );
}
