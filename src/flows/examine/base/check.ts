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
export async function checkRoot(archive: Archive, table: FileTable, root: WrittenRoot): Promise<number> {
  const wanted = await mappedPrograms(archive, table);
  for (const [path, buildId] of wanted) {
    const source = await root.open(path);
    if (source === undefined) throw wrongImage(say`there is no ${path} in it`, undefined);
    const found = await buildIdOf(source);
    if (found !== buildId)
      throw wrongImage(
        say`${path} in it is another file`,
        say`its build ID is ${found ?? "missing"}; that of the one that was mapped is ${buildId}`,
      );
  }
  return wanted.size;
}

/**
 * Programs and libraries of the image that were mapped: paths and build IDs. What was deleted, lies in a volume, or was written by the container is
 * no file of the image.
 */
export async function mappedPrograms(
  archive: Archive,
  { files, remaps }: FileTable,
  written: ReadonlySet<string> = new Set(),
): Promise<Map<string, string>> {
  const mounts = await mounted(archive);
  const wanted = new Map<string, string>();
  for (const { id, name, buildId, type } of files.values()) {
    if (buildId === undefined || type !== "file" || remaps.has(id) || written.has(name)) continue;
    if (!mounts.some(({ path }) => isWithin(name, path))) wanted.set(name, buildId);
  }
  return wanted;
}

export function wrongImage(how: Phrase, why: Phrase | undefined): UserError {
  return new UserError({
    reason: "WrongBaseImage",
    message: say`the image is not the one that the container was made from: ${how}`,
    why,
    fix: say`give the image by its digest: --base-image=REFERENCE@sha256:…`,
  });
}
