import type { Budget } from "./budget.ts";
import { charged, checkRange } from "./sources.ts";
import type { Source } from "../model/source.ts";

/** A part of a file that is not all zeros: its bytes are in a source from `at` on. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly source: Source;
  readonly at: number;
}

/** A file with holes, which read as zeros. */
export interface SparseSource extends Source {
  /** Ascending, none over another. */
  readonly extents: readonly Extent[];
}

export function sparseSource(size: number, extents: readonly Extent[]): SparseSource {
  return {
    size,
    extents,
    async read(offset, length, into) {
      checkRange(size, offset, length);
      const bytes = (into?.subarray(0, length) ?? Buffer.allocUnsafe(length)).fill(0);
      for (let index = extentAfter(extents, offset); index < extents.length; index += 1) {
        const extent = extents[index];
        if (extent === undefined || extent.offset >= offset + length) break;
        const from = Math.max(extent.offset, offset);
        const room = bytes.subarray(from - offset, Math.min(extent.offset + extent.length, offset + length) - offset);
        const read = await extent.source.read(extent.at + (from - extent.offset), room.length, room);
        if (read.buffer !== room.buffer || read.byteOffset !== room.byteOffset) read.copy(room);
      }
      return bytes;
    },
  };
}

/** The index of the first extent that ends after an offset. */
function extentAfter(extents: readonly Extent[], offset: number): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const { offset: start = 0, length = 0 } = extents[middle] ?? {};
    if (start + length <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The parts of a file that are not holes: a file without any is one. */
export function extentsOf(source: Source | SparseSource): readonly Extent[] {
  if ("extents" in source) return source.extents;
  return source.size === 0 ? [] : [{ offset: 0, length: source.size, source, at: 0 }];
}

/** The same source, holes and all; the budget is charged for what is read of it. */
export function chargedSparse(source: Source | SparseSource, budget: Budget): Source {
  if (!("extents" in source)) return charged(source, budget);
  return sparseSource(
    source.size,
    source.extents.map((extent) => ({ ...extent, source: charged(extent.source, budget) })),
  );
}
