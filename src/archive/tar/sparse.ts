import type { Source } from "../../model/source.ts";
import { sparseSource, type SparseSource } from "../sparse.ts";
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

/** The file; its holes read as zeros. */
export function mappedSource(data: Source, { size, parts }: SparseMap): SparseSource {
  return sparseSource(
    size,
    parts.map(({ start, length, at }) => ({ offset: start, length, source: data, at })),
  );
}
