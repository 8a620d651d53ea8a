import type { Source } from "../../model/source.ts";
import { pagesSource, type Pages } from "../pages.ts";
import type { PageRun } from "../pagemap.ts";

/** A stretch of memory without a gap, or a piece of it. Its bytes are overwritten by those of the next but one window. */
export interface Part {
  /** Its bytes; of a piece also some before and after, as context. */
  readonly bytes: Buffer;
  /** Of the first of them. */
  readonly address: bigint;
  /** Matches begin at this index or later, … */
  readonly from: number;
  /** … and before this one: what begins there belongs to the next piece. */
  readonly to: number;
}

export interface WindowOptions {
  readonly pageSize: number;
  /** Bytes read at once. */
  readonly chunk: number;
  /** How many bytes before and after a match are wanted. */
  readonly around: number;
  /** Bytes of the longest match. */
  readonly longest: number;
  /** Bytes before a match that decide whether it is one. */
  readonly lead: number;
}

/** Pages that follow each other in memory, and so in their file, where this is `start` to `end`. */
interface Stretch {
  readonly address: bigint;
  readonly start: number;
  readonly end: number;
}

/**
 * The present pages, some at a time: long stretches in overlapping pieces, short ones together. A match may lie across
 * pages, pagemap entries and pieces, but not across a gap between addresses.
 * Throws a UserError where the file of pages is missing or too short.
 */
export async function* windows(pages: Pages, runs: AsyncIterable<readonly PageRun[]>, options: WindowOptions): AsyncGenerator<Part[]> {
  let together: Stretch[] = [];
  let source: Source | undefined;
  const room: [Buffer, Buffer] = [Buffer.allocUnsafeSlow(options.chunk), Buffer.allocUnsafeSlow(options.chunk)];
  for await (const { run, ...stretch } of stretches(runs, options.pageSize)) {
    source = pagesSource(pages, run, options.pageSize);
    const first = together[0];
    if (first !== undefined && stretch.end - first.start > options.chunk) {
      yield await whole(source, together, room[0]);
      together = [];
    }
    if (stretch.end - stretch.start > options.chunk) yield* inPieces(source, stretch, room, options);
    else together.push(stretch);
  }
  if (source !== undefined && together.length > 0) yield await whole(source, together, room[0]);
}

/** Present runs, those that follow each other joined; `run` is the last of them. */
async function* stretches(runs: AsyncIterable<readonly PageRun[]>, pageSize: number): AsyncGenerator<Stretch & { readonly run: PageRun }> {
  let open: { address: bigint; start: number; end: number; run: PageRun } | undefined;
  for await (const batch of runs) {
    for (const run of batch) {
      if (run.content !== "present") continue;
      const start = run.firstPage * pageSize;
      const end = start + run.pages * pageSize;
      if (open !== undefined && open.address + BigInt(open.end - open.start) === run.address) {
        open.end = end;
        open.run = run;
      } else {
        if (open !== undefined) yield open;
        open = { address: run.address, start, end, run };
      }
    }
  }
  if (open !== undefined) yield open;
}

async function whole(source: Source, stretches: readonly Stretch[], room: Buffer): Promise<Part[]> {
  const base = stretches[0]?.start ?? 0;
  const bytes = await source.read(base, (stretches.at(-1)?.end ?? 0) - base, room);
  return stretches.map(({ address, start, end }) => ({
    bytes: bytes.subarray(start - base, end - base),
    address,
    from: 0,
    to: end - start,
  }));
}

async function* inPieces(
  source: Source,
  { address, start, end }: Stretch,
  [now, next]: readonly [Buffer, Buffer],
  { chunk, around, longest, lead }: WindowOptions,
): AsyncGenerator<Part[]> {
  const read = (at: number): Promise<Buffer> => {
    const bytes = source.read(at, Math.min(chunk, end - at), now);
    [now, next] = [next, now];
    // Where the search ends early, nobody waits for the piece that was read ahead.
    bytes.catch(() => {});
    return bytes;
  };
  // Of a piece that is not the first: context, and what the matcher looks back at.
  const before = Math.max(around, lead);
  let at = start;
  let from = 0;
  let ahead = read(at);
  for (;;) {
    const bytes = await ahead;
    const last = at + bytes.length === end;
    const to = last ? bytes.length : bytes.length - longest - around;
    const part = { bytes, address: address + BigInt(at - start), from, to };
    const nextAt = at + to - before;
    if (!last) ahead = read(nextAt);
    yield [part];
    if (last) return;
    at = nextAt;
    from = before;
  }
}
