import type { Hit, Matcher } from "./matcher.ts";
import { KEY, vectorCandidates, type Candidates } from "./vectors.ts";
import type { Part } from "./windows.ts";

const CHUNK = 256 << 10;

/** A word, and where in it the bytes are that are looked for. */
interface Keyed {
  readonly word: Buffer;
  readonly at: number;
}

/**
 * Finds any of many words in one pass: four bytes of each are looked for, and the word is compared where they are. Words have at least four
 * bytes. A hit is `length` bytes long, as far as they are there: what begins with the word.
 */
export function wordsMatcher(words: readonly Buffer[], length: number, candidatesOf = vectorCandidates): Matcher {
  const byKey = Map.groupBy(
    words.map((word) => ({ word, at: keyIn(word) })),
    ({ word, at }) => word.readInt32LE(at),
  );
  const keys = [...byKey.values()].flatMap(([first]) => (first === undefined ? [] : [first.word.subarray(first.at, first.at + KEY)]));
  const candidates = candidatesOf(keys) ?? textCandidates(keys);
  const furthest = Math.max(...words.map(keyIn));
  return {
    longest: length,
    lead: 0,
    chunk: Math.max(CHUNK, 4 * length),
    *hits<P extends Part>(parts: readonly P[]): Generator<Hit<P>> {
      for (const part of parts) {
        const { bytes, from, to } = part;
        const found: { readonly start: number; readonly word: Buffer }[] = [];
        for (const place of candidates(bytes, from, Math.min(bytes.length - KEY + 1, to + furthest))) {
          for (const { word, at } of byKey.get(bytes.readInt32LE(place)) ?? NONE) {
            const start = place - at;
            if (start >= from && start < to && isAt(bytes, word, start)) found.push({ start, word });
          }
        }
        found.sort((a, b) => a.start - b.start || b.word.length - a.word.length);
        let end = 0;
        for (const { start, word } of found) {
          if (start < end) continue;
          end = start + word.length;
          yield { part, start, length: Math.min(length, bytes.length - start), taken: word.length };
        }
      }
    },
  };
}

const NONE: readonly Keyed[] = [];

/** Where in a word the first bytes stand that differ most from each other: "-BEG" is rarer than "----". */
function keyIn(word: Buffer): number {
  const distinct = (at: number): number => new Set(word.subarray(at, at + KEY)).size;
  return Array.from({ length: word.length - KEY + 1 }, (_, at) => at).reduce((best, at) => (distinct(at) > distinct(best) ? at : best), 0);
}

/** By V8's regular expressions: five times as long. */
function textCandidates(keys: readonly Buffer[]): Candidates {
  const escaped = (key: Buffer): string => [...key].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  const any = new RegExp(`(?=${keys.map(escaped).join("|")})`, "g");
  return (bytes, from, to) =>
    [...bytes.toString("latin1", from, Math.min(bytes.length, to + KEY)).matchAll(any)]
      .map(({ index }) => from + index)
      .filter((at) => at < to);
}

function isAt(bytes: Buffer, word: Buffer, start: number): boolean {
  const end = start + word.length;
  return end <= bytes.length && bytes.compare(word, 0, word.length, start, end) === 0;
}
