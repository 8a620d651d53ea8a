import type { Part } from "./windows.ts";

/** Where a match lies in a part. */
export interface Hit<P extends Part = Part> {
  readonly part: P;
  readonly start: number;
  readonly length: number;
  /** Bytes of it in which no other match begins; without it, all. */
  readonly taken?: number;
}

/** Finds something in memory. */
export interface Matcher {
  /** Bytes of the longest match. */
  readonly longest: number;
  /** Bytes before a match that decide whether it is one. */
  readonly lead: number;
  /** Bytes that are best searched at once. */
  readonly chunk: number;
  /** Matches in the order of the parts, none within another. */
  hits<P extends Part>(parts: readonly P[]): Iterable<Hit<P>>;
}

const CHUNK = 256 << 10;
/** After so many windows it is looked anew which byte is rare. */
const SAMPLE_EVERY = 64;
/** A byte that comes more often than once in so many is no help: stopping at it takes as long as searching that far for all. */
const RARE = 2048;

/**
 * Finds bytes as they are: by the one of them that is rarest in this memory, which the C library finds several times
 * faster than any two together. Where none is rare, by all of them.
 */
export function bytesMatcher(needle: Buffer): Matcher {
  let windows = 0;
  let rarest: number | undefined;
  return {
    longest: needle.length,
    lead: 0,
    chunk: Math.max(CHUNK, needle.length * 4),
    *hits<P extends Part>(parts: readonly P[]): Generator<Hit<P>> {
      if (windows % SAMPLE_EVERY === 0) rarest = rarestOf(needle, parts, RARE);
      windows += 1;
      for (const part of parts) {
        for (const start of starts(part, needle, rarest)) yield { part, start, length: needle.length };
      }
    },
  };
}

/** Finds what any of some matchers finds: where two of them find something in the same place, what begins first, or is longer. */
export function eitherMatcher(matchers: readonly Matcher[]): Matcher {
  const [first, ...more] = matchers;
  if (first !== undefined && more.length === 0) return first;
  const most = (of: (matcher: Matcher) => number): number => Math.max(...matchers.map(of));
  return {
    longest: most(({ longest }) => longest),
    lead: most(({ lead }) => lead),
    chunk: most(({ chunk }) => chunk),
    *hits<P extends Part>(parts: readonly P[]): Generator<Hit<P>> {
      for (const part of parts) {
        const hits = matchers.flatMap((matcher) => [...matcher.hits([part])]);
        hits.sort((a, b) => a.start - b.start || b.length - a.length);
        let end = 0;
        for (const hit of hits) {
          if (hit.start < end) continue;
          end = hit.start + hit.length;
          yield hit;
        }
      }
    },
  };
}

/** Where the needle begins, none within another. `rarest` is the index in it of the byte to look for. */
function* starts({ bytes, from, to }: Part, needle: Buffer, rarest: number | undefined): Generator<number, void> {
  let next = from;
  if (rarest !== undefined) {
    const byte = needle[rarest] ?? 0;
    let patience = 16 + (to - from) / RARE;
    for (
      let at = bytes.indexOf(byte, from + rarest);
      at >= 0 && at - rarest < to && patience > 0;
      at = bytes.indexOf(byte, next + rarest)
    ) {
      const start = at - rarest;
      const found = isAt(bytes, needle, start);
      if (found) yield start;
      else patience -= 1;
      next = start + (found ? needle.length : 1);
    }
    if (patience > 0) return;
  }
  for (let start = bytes.indexOf(needle, next); start >= 0 && start < to; start = bytes.indexOf(needle, start + needle.length)) yield start;
}

function isAt(bytes: Buffer, needle: Buffer, start: number): boolean {
  const end = start + needle.length;
  // Most are told apart by one byte, without a call.
  return end <= bytes.length && bytes[start] === needle[0] && bytes.compare(needle, 0, needle.length, start, end) === 0;
}

/** So many bytes tell well enough what is rare. */
const SAMPLE = 16 << 10;

/** The index of the needle's byte that is rarest in these parts; undefined where each comes more often than once in `rare` bytes. */
export function rarestOf(needle: Buffer, parts: readonly Part[], rare: number): number | undefined {
  const counts = new Uint32Array(256);
  let seen = 0;
  for (const { bytes } of parts) {
    const end = Math.min(bytes.length, SAMPLE - seen);
    for (let at = 0; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      counts[byte] = (counts[byte] ?? 0) + 1;
    }
    seen += end;
  }
  let rarest = 0;
  const count = (index: number): number => counts[needle[index] ?? 0] ?? 0;
  for (let index = 1; index < needle.length; index += 1) if (count(index) < count(rarest)) rarest = index;
  return count(rarest) * rare > seen ? undefined : rarest;
}
