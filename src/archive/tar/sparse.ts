import type { Source } from "../../model/source.ts";
import { checkRange } from "../sources.ts";
import { numberAt } from "./header.ts";

/** A part of a sparse file that is there: where in the file, how long, and where in the data that the archive holds of it. */
interface Part {
  readonly start: number;
  readonly length: number;
  readonly at: number;
}

/** What a sparse file in GNU tar's old format (type S) consists of; CRIU's archives of tmpfs have such files. */
export interface SparseMap {
  /** Of the file, holes included, in bytes. */
  readonly size: number;
  /** Ascending, apart from each other. */
  readonly parts: readonly Part[];
}

/** Descriptors in the header block, and in a block that continues them. */
const IN_HEADER = { from: 386, count: 4, more: 482 };
const IN_EXTENSION = { from: 0, count: 21, more: 504 };
const DESCRIPTOR = 24;

/**
 * Reads the map of a sparse file from its header block and from those that continue it, which `next` gives. Undefined where it does not fit
 * the `stored` bytes of data.
 */
export async function sparseMap(header: Buffer, stored: number, next: () => Promise<Buffer>): Promise<SparseMap | undefined> {
  const size = numberAt(header, 483, 495);
  const parts: Part[] = [];
  let [at, end, sound] = [0, 0, size !== undefined];
  for (let block = header, { from, count, more } = IN_HEADER; ; { from, count, more } = IN_EXTENSION) {
    for (let index = 0; index < count && block[from + index * DESCRIPTOR] !== 0; index += 1) {
      const field = from + index * DESCRIPTOR;
      const [start, length] = [numberAt(block, field, field + 12), numberAt(block, field + 12, field + DESCRIPTOR)];
      if (start === undefined || length === undefined || start < end || start + length > (size ?? 0)) sound = false;
      else if (length > 0) parts.push({ start, length, at });
      at += length ?? 0;
      end = (start ?? 0) + (length ?? 0);
    }
    if (block[more] === 0) break;
    block = await next();
  }
  return sound && size !== undefined && at === stored ? { size, parts } : undefined;
}

/** The file, its holes read as zeros. */
export function sparseSource(data: Source, { size, parts }: SparseMap): Source {
  return {
    size,
    async read(offset, length) {
      checkRange(size, offset, length);
      const bytes = Buffer.alloc(length);
      for (let index = firstAfter(parts, offset); index < parts.length; index += 1) {
        const part = parts[index];
        if (part === undefined || part.start >= offset + length) break;
        const from = Math.max(offset, part.start);
        const to = Math.min(offset + length, part.start + part.length);
        (await data.read(part.at + from - part.start, to - from)).copy(bytes, from - offset);
      }
      return bytes;
    },
  };
}

/** The index of the first part that ends after the offset. */
function firstAfter(parts: readonly Part[], offset: number): number {
  let [low, high] = [0, parts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const part = parts[middle];
    if (part !== undefined && part.start + part.length <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
