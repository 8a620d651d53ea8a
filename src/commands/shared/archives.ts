import { existsSync } from "node:fs";
import type { IndexedArchive, OpenArchive, Reading } from "../../archive/archive.ts";
import { Budget } from "../../archive/budget.ts";
import { mayBeTarget } from "../../archive/elsewhere.ts";
import { openArchive } from "../../archive/open.ts";
import type { VolumesBeside } from "../../archive/volumes.ts";
import { lastImages } from "../../criu/parents.ts";
import { Disposal } from "../../model/disposal.ts";
import { UserError, usageError } from "../../model/error.ts";
import { command, say } from "../../model/phrase.ts";
import { text } from "./flags.ts";
import type { Call } from "./verb.ts";

/** FILE, the first word of verbs that read an archive. Throws a usage error. */
export function fileWord(verb: string, words: readonly string[], rest = ""): string {
  const [file] = words;
  if (file === undefined || file === "") throw usageError("FILE is required", command`kubectl checkpoint ${verb} FILE${say`${rest}`}`);
  return file;
}

/**
 * FILEs to read. For one that is not there and may be a pod, its archive is offered at a terminal; elsewhere no cluster is asked. Throws what
 * offerArchive does.
 */
export async function orOffered(files: readonly string[], call: Call): Promise<readonly string[]> {
  if (!call.ask.possible || !files.some(isMissing)) return files;
  const { offerArchive } = await import("../checkpoint/offer.ts");
  const read: string[] = [];
  for (const file of files) read.push((isMissing(file) ? await offerArchive(file, call) : undefined) ?? file);
  return read;
}

function isMissing(file: string): boolean {
  return mayBeTarget(file) && !existsSync(file);
}

/** What is wrong with an archive as such, whatever is in it. */
export function damages(file: string, { problems }: IndexedArchive): UserError[] {
  return problems.map((problem) => new UserError({ reason: "ArchiveDamaged", message: say`${file}: ${problem}` }));
}

/** For verbs that read memory. */
export const PREVIOUS = text({ value: "FILE", help: "archive of the previous checkpoint, for pages that this one lacks" });

/**
 * Opens an archive to read its memory, with the one of the checkpoint before where that is given: both have one budget. Where it holds a
 * pre-checkpoint only, that is read. Throws a UserError as openArchive does.
 */
export async function openCheckpoint(
  file: string,
  previous: string | undefined,
  reading: Reading,
  budget = new Budget(),
): Promise<OpenArchive> {
  if (file === "-" && previous === "-") throw usageError("only one of the archives can be standard input");
  await using opened = new Disposal();
  const archive = opened.use(await openArchive(file, { ...reading, budget }));
  const before = previous === undefined ? undefined : opened.use(await openArchive(previous, { ...reading, budget }));
  opened.release();
  return {
    ...archive,
    ...lastImages(archive),
    ...(before === undefined ? {} : { previous: before }),
    async [Symbol.asyncDispose]() {
      await archive[Symbol.asyncDispose]();
      await before?.[Symbol.asyncDispose]();
    },
  };
}

/** The volumes that were copied with an archive; `tell` takes why they cannot be read. */
export async function volumesBeside(
  file: string,
  budget: Budget,
  reading: Reading,
  tell: (problem: UserError) => void,
): Promise<VolumesBeside | undefined> {
  const { openVolumes } = await import("../../archive/volumes.ts");
  try {
    return await openVolumes(file, budget, reading);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    tell(error);
    return undefined;
  }
}
