import type { IndexedArchive } from "../../archive/archive.ts";
import { UserError, usageError } from "../../model/error.ts";
import { command, say } from "../../model/phrase.ts";

/** FILE, the first word of verbs that read an archive. Throws a usage error. */
export function fileWord(verb: string, words: readonly string[], rest = ""): string {
  const [file] = words;
  if (file === undefined || file === "") throw usageError("FILE is required", command`kubectl checkpoint ${verb} FILE${say`${rest}`}`);
  return file;
}

/** What is wrong with an archive as such, whatever is in it. */
export function damages(file: string, { problems }: IndexedArchive): UserError[] {
  return problems.map((problem) => new UserError({ reason: "ArchiveDamaged", message: say`${file}: ${problem}` }));
}
