import { setImmediate } from "node:timers/promises";
import type { UserError } from "../../model/error.ts";
import type { Matcher } from "./matcher.ts";
import { Windows, type Stretch, type StretchPart } from "./windows.ts";

/** A match in memory, in a file or in a queue. */
export interface Match<T> {
  /** What it is in. */
  readonly place: T;
  readonly address: bigint;
  readonly bytes: Buffer;
  /** What is around it, as far as it is there. */
  readonly before: Buffer;
  readonly after: Buffer;
}

export interface SearchOptions<T> {
  /** Bytes wanted before and after a match. */
  readonly around: number;
  readonly signal: AbortSignal;
  /** Takes how many bytes were searched. */
  readonly progress: (place: T, bytes: number) => void;
  /** Takes why something could not be searched. Without it, that is thrown. */
  readonly skipped?: (error: UserError) => void;
}

/** After so many matches, signals and closed pipes get their turn. */
const TURN = 4096;

/** Searches stretches with a matcher, some after others: its buffers are kept. */
export class Searcher<T> {
  readonly #matcher: Matcher;
  readonly #options: SearchOptions<T>;
  readonly #windows: Windows;
  #count = 0;

  constructor(matcher: Matcher, options: SearchOptions<T>) {
    this.#matcher = matcher;
    this.#options = options;
    const { longest, lead, chunk } = matcher;
    const { around, skipped } = options;
    // Most of a window must be new to it.
    this.#windows = new Windows({ around, longest, lead, skipped, chunk: Math.max(chunk, 4 * (lead + longest + 2 * around)) });
  }

  /** Matches in the order of the stretches. Throws a UserError where bytes cannot be read, and the signal's reason. */
  async *search(stretches: AsyncIterable<Stretch<T>>): AsyncGenerator<Match<T>> {
    const { around, signal, progress } = this.#options;
    // Where the last match ended: none begins within it.
    let last: { stretch: Stretch<T>; end: bigint } | undefined;
    for await (const parts of this.#windows.of(stretches)) {
      signal.throwIfAborted();
      const rest = parts.map((part) => (part.stretch === last?.stretch ? after(part, last.end) : part));
      for (const { part, start, length, taken = length } of this.#matcher.hits(rest)) {
        const { bytes, address, stretch } = part;
        const end = start + length;
        last = { stretch, end: address + BigInt(start + taken) };
        yield {
          place: stretch.place,
          address: address + BigInt(start),
          bytes: bytes.subarray(start, end),
          before: bytes.subarray(Math.max(0, start - around), start),
          after: bytes.subarray(end, end + around),
        };
        this.#count += 1;
        if (this.#count % TURN === 0) await setImmediate();
        signal.throwIfAborted();
      }
      for (const { from, to, stretch } of parts) progress(stretch.place, to - from);
    }
  }
}

function after<T>(part: StretchPart<T>, address: bigint): StretchPart<T> {
  return address > part.address + BigInt(part.from) ? { ...part, from: Math.min(part.to, Number(address - part.address)) } : part;
}
