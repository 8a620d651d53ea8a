import { UserError } from "../../model/error.ts";
import type { Source } from "../../model/source.ts";
import type { PageRun } from "../runs.ts";
import { extentsOf } from "../../archive/sparse.ts";

/** Bytes without a gap: of memory, a file, a queue. They may be stored in several pieces. */
export interface Stretch<T> {
  /** Of the first of them: in memory, or from the beginning of the file. */
  readonly address: bigint;
  readonly length: number;
  readonly segments: readonly Segment[];
  /** What they are of. */
  readonly place: T;
}

export interface Segment {
  readonly source: Source;
  readonly offset: number;
  readonly length: number;
}

/** A source, but for its holes. */
export function* sourceStretches<T>(source: Source, place: T): Generator<Stretch<T>> {
  for (const { offset, length, source: from, at } of extentsOf(source))
    yield { address: BigInt(offset), length, segments: [{ source: from, offset: at, length }], place };
}

/** A stretch, or a piece of it. Its bytes are overwritten by those of the next but one window. */
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

export interface StretchPart<T> extends Part {
  readonly stretch: Stretch<T>;
}

export interface WindowOptions {
  /** Bytes read at once. */
  readonly chunk: number;
  /** How many bytes before and after a match are wanted. */
  readonly around: number;
  /** Bytes of the longest match. */
  readonly longest: number;
  /** Bytes before a match that decide whether it is one. */
  readonly lead: number;
  /** Takes why a stretch could not be read, or not to its end: the others are. Without it, that is thrown. */
  readonly skipped?: ((error: UserError) => void) | undefined;
}

/** The present pages of runs, those that follow each other in memory as one stretch, which ends where a place does. */
export async function* pageStretches<T, R extends PageRun>(
  runs: AsyncIterable<readonly R[]>,
  pageSize: number,
  placeOf: (run: R) => T,
): AsyncGenerator<Stretch<T>> {
  let open: { address: bigint; length: number; segments: Segment[]; place: T } | undefined;
  for await (const batch of runs) {
    for (const run of batch) {
      const { address, pages, source, offset } = run;
      if (source === undefined) continue;
      const length = pages * pageSize;
      if (open === undefined || open.address + BigInt(open.length) !== address) {
        if (open !== undefined) yield open;
        open = { address, length: 0, segments: [], place: placeOf(run) };
      }
      append(open.segments, { source, offset, length });
      open.length += length;
    }
  }
  if (open !== undefined) yield open;
}

function append(segments: Segment[], { source, offset, length }: Segment): void {
  const last = segments.at(-1);
  if (last?.source === source && last.offset + last.length === offset) {
    segments[segments.length - 1] = { source, offset: last.offset, length: last.length + length };
  } else segments.push({ source, offset, length });
}

/**
 * The bytes of stretches, some at a time: long stretches in overlapping pieces, short ones together. A match may lie across pieces and
 * segments, not across stretches. Throws a UserError where they cannot be read.
 */
export class Windows {
  readonly #options: WindowOptions;
  readonly #room: [Buffer, Buffer];

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#room = [Buffer.allocUnsafeSlow(options.chunk), Buffer.allocUnsafeSlow(options.chunk)];
  }

  async *of<T>(stretches: AsyncIterable<Stretch<T>>): AsyncGenerator<StretchPart<T>[]> {
    const { chunk } = this.#options;
    let together: Stretch<T>[] = [];
    let length = 0;
    for await (const stretch of stretches) {
      if (together.length > 0 && length + stretch.length > chunk) {
        yield await this.#whole(together);
        [together, length] = [[], 0];
      }
      if (stretch.length > chunk) yield* this.#inPieces(stretch);
      else {
        together.push(stretch);
        length += stretch.length;
      }
    }
    if (together.length > 0) yield await this.#whole(together);
  }

  async #whole<T>(all: readonly Stretch<T>[]): Promise<StretchPart<T>[]> {
    let stretches = all;
    let bytes: Buffer;
    try {
      bytes = await gather(segmentsOf(stretches), this.#room[0]);
    } catch (error) {
      this.#skip(error);
      stretches = await this.#sound(all);
      bytes = await gather(segmentsOf(stretches), this.#room[0]);
    }
    let at = 0;
    return stretches.map((stretch) => {
      const { address, length } = stretch;
      const part = { bytes: bytes.subarray(at, at + length), address, from: 0, to: length, stretch };
      at += length;
      return part;
    });
  }

  /** Those that can be read, one by one. */
  async #sound<T>(stretches: readonly Stretch<T>[]): Promise<Stretch<T>[]> {
    const sound: Stretch<T>[] = [];
    for (const stretch of stretches) {
      try {
        await gather(stretch.segments, this.#room[0]);
        sound.push(stretch);
      } catch (error) {
        this.#skip(error);
      }
    }
    return sound;
  }

  #skip(error: unknown): void {
    if (!(error instanceof UserError) || this.#options.skipped === undefined) throw error;
    this.#options.skipped(error);
  }

  async *#inPieces<T>(stretch: Stretch<T>): AsyncGenerator<StretchPart<T>[]> {
    const { chunk, around, longest, lead } = this.#options;
    const { address, length } = stretch;
    const cut = cutter(stretch.segments);
    let [now, next] = this.#room;
    const read = (at: number): Promise<Buffer> => {
      const bytes = gather(cut(at, Math.min(chunk, length - at)), now);
      [now, next] = [next, now];
      // Where the search ends early, nobody waits for the piece that was read ahead.
      bytes.catch(() => {});
      return bytes;
    };
    // Of a piece that is not the first: context, and what the matcher looks back at.
    const before = Math.max(around, lead);
    let at = 0;
    let from = 0;
    let ahead = read(at);
    for (;;) {
      const bytes = await ahead.catch((error: unknown) => this.#skip(error));
      if (bytes === undefined) return;
      const last = at + bytes.length === length;
      const to = last ? bytes.length : bytes.length - longest - around;
      const part = { bytes, address: address + BigInt(at), from, to, stretch };
      const nextAt = at + to - before;
      if (!last) ahead = read(nextAt);
      yield [part];
      if (last) return;
      at = nextAt;
      from = before;
    }
  }
}

function segmentsOf(stretches: readonly Stretch<unknown>[]): Segment[] {
  const segments: Segment[] = [];
  for (const stretch of stretches) for (const segment of stretch.segments) append(segments, segment);
  return segments;
}

/** The bytes of segments one after the other; those of one alone as their source gives them. */
async function gather(segments: readonly Segment[], into: Buffer): Promise<Buffer> {
  const [first] = segments;
  if (segments.length === 1 && first !== undefined) return await first.source.read(first.offset, first.length, into);
  let at = 0;
  for (const { source, offset, length } of segments) {
    const room = into.subarray(at, at + length);
    const bytes = await source.read(offset, length, room);
    if (bytes.buffer !== room.buffer || bytes.byteOffset !== room.byteOffset) bytes.copy(room);
    at += length;
  }
  return into.subarray(0, at);
}

/** Cuts segments: answers with those of a range of their bytes. */
function cutter(segments: readonly Segment[]): (from: number, length: number) => Segment[] {
  const ends = new Float64Array(segments.length);
  let end = 0;
  for (const [index, { length }] of segments.entries()) ends[index] = end += length;
  return (from, length) => {
    const cut: Segment[] = [];
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) <= from) low = middle + 1;
      else high = middle;
    }
    for (let at = from; at < from + length && low < segments.length; low += 1) {
      const segment = segments[low] as Segment;
      const skipped = at - ((ends[low] ?? 0) - segment.length);
      const part = Math.min(segment.length - skipped, from + length - at);
      cut.push({ source: segment.source, offset: segment.offset + skipped, length: part });
      at += part;
    }
    return cut;
  };
}
