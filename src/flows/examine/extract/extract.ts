import { UserError } from "../../../model/error.ts";
import { openDestination } from "../../../local/destination.ts";
import { localName } from "../../../local/names.ts";
import { Tree } from "../../../local/tree.ts";
import { writeNew, type Written } from "../../../local/write.ts";
import type { Budget } from "../../../archive/budget.ts";
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
export async function* writeNamed(
  named: Named,
  to: string | undefined,
  budget: Budget,
  signal: AbortSignal,
): AsyncGenerator<Extracted | UserError, void> {
  await using destination = await openDestination(to);
  const place = destination.nameFor(localName(named.name));
  if (!named.isDirectory) {
    const { directory } = destination;
    for (const { from, bytes } of named.files)
      if (bytes !== undefined)
        yield { from, path: directory.pathOf(place), bytes: await writeNew(directory, place, paidFor(bytes(), budget), signal) };
    return;
  }
  await using tree = new Tree(await destination.directory.makeDirectory(place));
  for (const { from, below, bytes } of named.files) {
    try {
      // A directory is made even where nothing is in it.
      const directory = await tree.directory(bytes === undefined ? below : below.slice(0, -1));
      if (bytes === undefined) continue;
      budget.makeFile();
      const name = localName(below.at(-1) ?? "");
      yield { from, path: directory.pathOf(name), bytes: await writeNew(directory, name, paidFor(bytes(), budget), signal) };
    } catch (error) {
      if (!(error instanceof UserError) || TOO_MUCH.has(error.reason)) throw error;
      yield error;
    }
  }
}

/** The budget's: nothing more can be written then. */
const TOO_MUCH: ReadonlySet<string> = new Set(["TooMuchToWrite", "TooSlow"]);

/** The same bytes, charged to the budget; holes take no room. */
export async function* paidFor(bytes: AsyncIterable<Written>, budget: Budget): AsyncGenerator<Written, void> {
  for await (const piece of bytes) {
    if (typeof piece !== "number") budget.write(piece.length);
    yield piece;
  }
}
