import type { Archive } from "../../../archive/archive.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { isWithin, mounted } from "../../../criu/mounted.ts";
import { buildIdOf } from "../../../elf/reader.ts";
import { UserError } from "../../../model/error.ts";
import { say, type Phrase } from "../../../model/phrase.ts";
import type { WrittenRoot } from "./root.ts";

/**
 * Compares the programs and libraries that were mapped with those of a root file system, by their build IDs. Answers how many were compared.
 * Throws a UserError at the first that is another one, or not there.
 */
export async function checkRoot(archive: Archive, { files, remaps }: FileTable, root: WrittenRoot): Promise<number> {
  const mounts = await mounted(archive);
  let compared = 0;
  for (const { id, name, buildId, type } of files.values()) {
    // What was deleted, or lies in a volume, is no file of the image.
    if (buildId === undefined || type !== "file" || remaps.has(id) || mounts.some(({ path }) => isWithin(name, path))) continue;
    const source = await root.open(name);
    if (source === undefined) throw wrongImage(say`there is no ${name} in it`, undefined);
    const found = await buildIdOf(source);
    if (found !== buildId)
      throw wrongImage(
        say`${name} in it is another file`,
        say`its build ID is ${found ?? "missing"}; that of the one that was mapped is ${buildId}`,
      );
    compared += 1;
  }
  return compared;
}

export function wrongImage(how: Phrase, why: Phrase | undefined): UserError {
  return new UserError({
    reason: "WrongBaseImage",
    message: say`the image is not the one that the container was made from: ${how}`,
    why,
    fix: say`give the image by its digest: --base-image=REFERENCE@sha256:…`,
  });
}
