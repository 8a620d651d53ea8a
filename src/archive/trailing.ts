import type { Source } from "../model/source.ts";

/** tar pads archives with zeros to a multiple of its record, 10 KiB by default; nobody pads more than this many bytes. */
const MOST_PADDING = 1 << 20;

/** How many bytes follow an archive's end; none where they are but padding. */
export async function trailingBytes(source: Source, end: number): Promise<number> {
  const length = source.size - end;
  const padding = length <= MOST_PADDING && (await source.read(end, length)).every((byte) => byte === 0);
  return padding ? 0 : length;
}
