import { setImmediate } from "node:timers/promises";
import type { Pages } from "../pages.ts";
import type { PageRun } from "../pagemap.ts";
import type { Matcher } from "./matcher.ts";
import { windows, type Part } from "./windows.ts";

/** A match in a process's memory, or in shared memory. */
export interface Match {
  readonly address: bigint;
  readonly bytes: Buffer;
  /** What is around it in memory, as far as it is in the archive. */
  readonly before: Buffer;
  readonly after: Buffer;
}

export interface SearchOptions {
  readonly pageSize: number;
  /** Bytes of memory wanted before and after a match. */
  readonly around: number;
  readonly signal: AbortSignal;
  /** Told how many bytes were searched. */
  readonly progress: (bytes: number) => void;
}

/** After so many matches, signals and closed pipes get their turn. */
const TURN = 4096;

/** Matches in present pages, by address. Throws a UserError where the pages cannot be read, and the signal's reason. */
export async function* searchPages(
  pages: Pages,
  runs: AsyncIterable<readonly PageRun[]>,
  matcher: Matcher,
  { pageSize, around, signal, progress }: SearchOptions,
): AsyncGenerator<Match> {
  // Where the last match ended: none begins within it.
  let resume = 0n;
  let count = 0;
  const { longest, lead } = matcher;
  for await (const parts of windows(pages, runs, { pageSize, around, longest, lead, chunk: chunkFor(matcher, around) })) {
    signal.throwIfAborted();
    for (const { part, start, length } of matcher.hits(parts.map((part) => after(part, resume)))) {
      const { bytes, address } = part;
      const end = start + length;
      resume = address + BigInt(end);
      yield {
        address: address + BigInt(start),
        bytes: bytes.subarray(start, end),
        before: bytes.subarray(Math.max(0, start - around), start),
        after: bytes.subarray(end, end + around),
      };
      count += 1;
      if (count % TURN === 0) await setImmediate();
      signal.throwIfAborted();
    }
    for (const { from, to } of parts) progress(to - from);
  }
}

/** Most of a window must be new to it. */
function chunkFor({ chunk, longest, lead }: Matcher, around: number): number {
  return Math.max(chunk, 4 * (lead + longest + 2 * around));
}

function after(part: Part, address: bigint): Part {
  return address > part.address + BigInt(part.from) ? { ...part, from: Math.min(part.to, Number(address - part.address)) } : part;
}
