import type { Hit, Matcher } from "./matcher.ts";
import type { Part } from "./windows.ts";

const CHUNK = 256 << 10;
/** Bytes that are looked at together. */
const BLOCK = 2;

/**
 * Finds any of many words, in one pass that looks at a part of the bytes only: how far a pair of bytes stands from the end of the shortest word
 * tells how many can be passed over (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994). Words have at least four bytes.
 * A hit is `length` bytes long, as far as they are there: what begins with the word.
 */
export function wordsMatcher(words: readonly Buffer[], length: number): Matcher {
  const shortest = Math.min(...words.map((word) => word.length));
  const shift = new Uint8Array(1 << 16).fill(shortest - BLOCK + 1);
  const ending = new Map<number, Buffer[]>();
  for (const word of words) {
    for (let at = BLOCK; at <= shortest; at += 1) {
      const pair = ((word[at - 2] ?? 0) << 8) | (word[at - 1] ?? 0);
      shift[pair] = Math.min(shift[pair] ?? 0, shortest - at);
      if (at === shortest) ending.set(pair, [...(ending.get(pair) ?? []), word]);
    }
  }
  return {
    longest: length,
    lead: 0,
    chunk: Math.max(CHUNK, 4 * length),
    *hits<P extends Part>(parts: readonly P[]): Generator<Hit<P>> {
      for (const part of parts) yield* hitsIn(part, { shortest, shift, ending, length });
    },
  };
}

interface Tables {
  readonly shortest: number;
  readonly shift: Uint8Array;
  readonly ending: ReadonlyMap<number, readonly Buffer[]>;
  readonly length: number;
}

function* hitsIn<P extends Part>(part: P, { shortest, shift, ending, length }: Tables): Generator<Hit<P>> {
  const { bytes, from, to } = part;
  const last = Math.min(bytes.length, to + shortest - 1);
  for (let at = from + shortest - 1; at < last;) {
    const pair = ((bytes[at - 1] as number) << 8) | (bytes[at] as number);
    const step = shift[pair] as number;
    if (step > 0) {
      at += step;
      continue;
    }
    const start = at - shortest + 1;
    const word = ending
      .get(pair)
      ?.find((one) => start + one.length <= bytes.length && bytes.compare(one, 0, one.length, start, start + one.length) === 0);
    if (word === undefined) at += 1;
    else {
      const found = Math.min(length, bytes.length - start);
      yield { part, start, length: found };
      at += word.length;
    }
  }
}
