import type { NodeFile } from "./listing.ts";

/** Of one request's operation: httpd's line ends at 8 KiB. */
const CHARACTERS = 7000;
/** The answers of one request are in memory at once. */
const FILES = 100;

/** Files in groups that fit into one request each. */
export function batches(files: readonly NodeFile[]): NodeFile[][] {
  const found: NodeFile[][] = [];
  let left = 0;
  for (const file of files) {
    // At worst three digits a byte, and what else is said of it.
    const length = 3 * file.raw.length + file.identity.length + 2;
    let group = found.at(-1);
    if (group === undefined || length > left || group.length === FILES) {
      found.push((group = []));
      left = CHARACTERS;
    }
    group.push(file);
    left -= length;
  }
  return found;
}
