import { UserError } from "../model/error.ts";
import type { Source } from "../model/source.ts";
import type { Budget } from "./budget.ts";

/** In bytes. No reader needs more in one piece; more is a size that lies. */
const LONGEST_READ = 40 << 20;

/** Throws unless `length` bytes from `offset` lie within `size`. */
export function checkRange(size: number, offset: number, length: number): void {
  const sound = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!sound || offset + length > size) throw cutShort(`${length} bytes at ${offset} were wanted of ${size}`);
  if (length > LONGEST_READ) throw new UserError({ reason: "TooLarge", message: `${length} bytes are too many to be read at once` });
}

export function cutShort(why: string): UserError {
  return new UserError({ reason: "ArchiveTruncated", message: "the archive is cut short", why });
}

export function bufferSource(bytes: Buffer): Source {
  return {
    size: bytes.length,
    async read(offset, length) {
      checkRange(bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** The same source; the budget is charged for what is read of it. */
export function charged(source: Source, budget: Budget): Source {
  return {
    get size() {
      return source.size;
    },
    async read(offset, length, into) {
      budget.decode(length);
      return await source.read(offset, length, into);
    },
  };
}

/** `size` bytes of another source, from `start`. */
export function slice(source: Source, start: number, size: number): Source {
  return {
    size,
    async read(offset, length, into) {
      checkRange(size, offset, length);
      return await source.read(start + offset, length, into);
    },
  };
}

/** Reads `window` bytes at once, so that small reads one after the other cost one trip; longer reads go through. */
export function readAhead(source: Source, window: number): Source {
  let start = 0;
  let held: Buffer = Buffer.alloc(0);
  return {
    size: source.size,
    async read(offset, length, into) {
      if (length > window) return await source.read(offset, length, into);
      if (offset < start || offset + length > start + held.length) {
        checkRange(source.size, offset, length);
        held = await source.read(offset, Math.min(window, source.size - offset));
        start = offset;
      }
      return held.subarray(offset - start, offset - start + length);
    },
  };
}

/** tar pads archives with zeros to a multiple of its record, 10 KiB by default; nobody pads more than this many bytes. */
const MOST_PADDING = 1 << 20;

/** How many bytes follow an archive's end; none where they are but padding. */
export async function paddingOr(source: Source, end: number): Promise<number> {
  const length = source.size - end;
  const padding = length <= MOST_PADDING && (await source.read(end, length)).every((byte) => byte === 0);
  return padding ? 0 : length;
}

/** The bytes of a source in pieces of at most `length`. */
export async function* pieces(source: Source, length = 1 << 20): AsyncGenerator<Buffer, void> {
  for (let offset = 0; offset < source.size; offset += length) {
    yield await source.read(offset, Math.min(length, source.size - offset));
  }
}
