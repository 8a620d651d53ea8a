import { UserError } from "../../../model/error.ts";
import { newDirectory, pathBelow, placeFor, writeNew } from "../../../local/new-file.ts";
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
  const place = await placeFor(named.name, to);
  if (named.isDirectory) await newDirectory(place);
  for (const { from, below, bytes } of named.files) {
    try {
      const path = below.length === 0 ? place : await pathBelow(place, below);
      yield { from, path, bytes: await writeNew(path, bytes(), signal) };
    } catch (error) {
      if (!(error instanceof UserError) || !named.isDirectory) throw error;
      yield error;
    }
  }
}
