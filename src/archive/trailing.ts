import type { Source } from "../model/source.ts";

/** tar pads archives with zeros to a multiple of its record, 10 KiB by default; nobody pads more than this many bytes. */
const MOST_PADDING = 1 << 20;

/** What follows an archive's end, where it is more than padding: a sentence, or none. */
export async function trailing(source: Source, end: number): Promise<readonly string[]> {
  const length = source.size - end;
  const padding = length <= MOST_PADDING && (await source.read(end, length)).every((byte) => byte === 0);
  return padding ? [] : [`${length} bytes follow the end of the archive`];
}
