import type { Part } from "./windows.ts";

/** Where a match lies in a part. */
export interface Hit {
  readonly part: Part;
  readonly start: number;
  readonly length: number;
}

/** Finds something in memory. */
export interface Matcher {
  /** Bytes of the longest match. */
  readonly longest: number;
  /** Bytes that are best searched at once. */
  readonly chunk: number;
  /** Matches in the order of the parts, none within another. */
  hits(parts: readonly Part[]): Iterable<Hit>;
}

const CHUNK = 256 << 10;

/** Finds bytes as they are. */
export function bytesMatcher(needle: Buffer): Matcher {
  return {
    longest: needle.length,
    chunk: Math.max(CHUNK, needle.length * 4),
    *hits(parts) {
      for (const part of parts) {
        const { bytes, from, to } = part;
        for (let start = bytes.indexOf(needle, from); start >= 0 && start < to; start = bytes.indexOf(needle, start + needle.length)) {
          yield { part, start, length: needle.length };
        }
      }
    },
  };
}
