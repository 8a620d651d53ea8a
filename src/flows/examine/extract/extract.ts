import { UserError } from "../../../model/error.ts";
import { openDestination } from "../../../local/destination.ts";
import { localName } from "../../../local/names.ts";
import { Tree } from "../../../local/tree.ts";
import { writeNew } from "../../../local/write.ts";
import type { Named } from "./named.ts";

/** A file that was written, with where its bytes come from. */
export interface Extracted {
  /** A path in the container, a member of the archive, or a range of addresses. */
  readonly from: string;
  /** On this machine. */
  readonly path: string;
  readonly bytes: number;
}

/**
 * Writes what was found below `to`, or here: new files of mode 0600, a directory as a new directory. What goes wrong
 * with one file of a directory is yielded, and the others are written.
 */
export async function* writeNamed(named: Named, to: string | undefined, signal: AbortSignal): AsyncGenerator<Extracted | UserError, void> {
  await using destination = await openDestination(to);
  const place = destination.nameFor(localName(named.name));
  if (!named.isDirectory) {
    const { directory } = destination;
    for (const { from, bytes } of named.files)
      yield { from, path: directory.pathOf(place), bytes: await writeNew(directory, place, bytes(), signal) };
    return;
  }
  await using tree = new Tree(await destination.directory.makeDirectory(place));
  for (const { from, below, bytes } of named.files) {
    try {
      const directory = await tree.directory(below.slice(0, -1));
      const name = localName(below.at(-1) ?? "");
      yield { from, path: directory.pathOf(name), bytes: await writeNew(directory, name, bytes(), signal) };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      yield error;
    }
  }
}
