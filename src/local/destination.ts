import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { Directory } from "./directory.ts";

/** Where something goes that the command writes: an open directory, and the name in it. */
export interface Destination extends AsyncDisposable {
  readonly directory: Directory;
  /** The name there that DEST gives; undefined where DEST is a directory. */
  readonly file: string | undefined;
  /** For something that is called `name` where it comes from, as localName makes it. */
  nameFor(name: string): string;
}

/**
 * DEST as users give it: into it where it is a directory or ends like one, else to the file of that name; without it, into the working
 * directory. `several` things need a directory. Throws DestinationUnusable and DestinationUnsafe.
 */
export async function openDestination(given: string | undefined, several = false): Promise<Destination> {
  const to = given === undefined || given === "" ? "." : given;
  const isDirectory =
    several ||
    /[/\\]$/.test(to) ||
    (await stat(to).then(
      (stats) => stats.isDirectory(),
      () => false,
    ));
  const path = resolve(to);
  const directory = await Directory.open(isDirectory ? path : dirname(path));
  const file = isDirectory ? undefined : basename(path);
  return {
    directory,
    file,
    nameFor: (name) => file ?? name,
    [Symbol.asyncDispose]: async () => await directory[Symbol.asyncDispose](),
  };
}

/** Writes a small file at once in the place of what is there: see Directory.replace. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await using directory = await Directory.open(dirname(path));
  await directory.replace(basename(path), text);
}
