import { excessive } from "./problems.ts";

/**
 * What an archive may ask of this program. Real images stay far below: they keep a hostile one from filling memory.
 * All counts are of one entry, or of one answer where said so.
 */

/** Bytes of an entry. The longest real ones describe the mappings of a process: 40 bytes each. */
export const MAX_ENTRY_BYTES = 32 * 1024 * 1024;

/** Messages inside an entry, and numbers in its lists. */
export const MAX_ENTRY_ITEMS = 300_000;

/** Mappings of a process: Linux allows 65,530 where nobody has raised it. */
export const MAX_MAPPINGS = 150_000;

/** Bytes of a name. Linux's paths end at 4096. */
export const MAX_TEXT_BYTES = 64 * 1024;

/** Entries of an image whose messages are kept together: open files, pages of shared memory. */
export const MAX_TABLE_ITEMS = 200_000;

/** Files, threads, mappings, … that one answer may hold together. */
export const MAX_ANSWER_ITEMS = 100_000;

/** Each process counts as so many of them: much is told of it. */
export const ITEMS_PER_PROCESS = 10;

/** Steps through pagemaps of shared memory, which may be mapped again and again. */
export const MAX_SHARED_STEPS = 5_000_000;

/** Bytes of the names, arguments and environments that one answer may hold together. */
export const MAX_ANSWER_TEXT = 32 * 1024 * 1024;

/** Bytes of the arguments or the environment of a process: Linux allows 6 MiB for both. */
export const MAX_ARGUMENT_BYTES = 8 * 1024 * 1024;

/** Counts what one answer holds together. Throws a UserError that names the image where it becomes too much. */
export type Spend = (image: string, items: number, text: number) => void;

export function allowance(mostItems: number): Spend {
  let items = 0;
  let text = 0;
  return (image, moreItems, moreText) => {
    items += moreItems;
    text += moreText;
    if (items > mostItems) throw excessive(image, `with it there are more than ${mostItems} parts`);
    if (text > MAX_ANSWER_TEXT) throw excessive(image, `with it there are more than ${MAX_ANSWER_TEXT} bytes of text`);
  };
}
