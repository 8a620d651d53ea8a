import type { IndexedArchive } from "../archive/archive.ts";
import { UserError } from "../model/error.ts";

/** What is wrong with an archive as such, whatever is in it. */
export function damages(file: string, { problems }: IndexedArchive): UserError[] {
  return problems.map((problem) => new UserError({ reason: "ArchiveDamaged", message: `${file}: ${problem}` }));
}
