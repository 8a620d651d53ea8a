import type { Lease } from "../archive/budget.ts";
import type { Source } from "../model/source.ts";
import type { CoreSegment } from "../elf/core-file.ts";
import type { PlacedSegment, SegmentPart } from "./segments.ts";

/** What a segment and a piece of one take, of an object that the budget counts. */
const ITEMS_PER_SEGMENT = 1 / 6;
const ITEMS_PER_PART = 1 / 8;

/** The segments of a process: of much memory there are hundreds of thousands, so they are columns of numbers. */
export class SegmentTable implements Iterable<PlacedSegment> {
  // Addresses are exact: they begin at pages.
  readonly #addresses: number[] = [];
  readonly #memoryBytes: number[] = [];
  readonly #fileBytes: number[] = [];
  readonly #flags: number[] = [];
  /** Where the pieces of each end, in the columns below. */
  readonly #partEnds: number[] = [];
  readonly #sources: Source[] = [];
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];

  /** Throws a UserError where there are too many. */
  add({ address, memoryBytes, fileBytes, flags, parts }: PlacedSegment, lease: Lease): void {
    lease.keep(ITEMS_PER_SEGMENT + parts.length * ITEMS_PER_PART);
    this.#addresses.push(Number(address));
    this.#memoryBytes.push(Number(memoryBytes));
    this.#fileBytes.push(Number(fileBytes));
    this.#flags.push(flags);
    for (const { source, offset, length } of parts) {
      this.#sources.push(source);
      this.#offsets.push(offset);
      this.#lengths.push(length);
    }
    this.#partEnds.push(this.#sources.length);
  }

  get count(): number {
    return this.#addresses.length;
  }

  /** Without where their bytes are. */
  *segments(): Generator<CoreSegment> {
    for (let at = 0; at < this.count; at += 1) yield this.#segment(at);
  }

  *[Symbol.iterator](): Generator<PlacedSegment> {
    for (let at = 0; at < this.count; at += 1)
      yield { ...this.#segment(at), parts: this.#parts(this.#partEnds[at - 1] ?? 0, this.#partEnds[at] ?? 0) };
  }

  #segment(at: number): CoreSegment {
    return {
      address: BigInt(this.#addresses[at] ?? 0),
      memoryBytes: BigInt(this.#memoryBytes[at] ?? 0),
      fileBytes: BigInt(this.#fileBytes[at] ?? 0),
      flags: this.#flags[at] ?? 0,
    };
  }

  #parts(from: number, to: number): SegmentPart[] {
    const parts: SegmentPart[] = [];
    for (let at = from; at < to; at += 1) {
      const source = this.#sources[at];
      if (source !== undefined) parts.push({ source, offset: this.#offsets[at] ?? 0, length: this.#lengths[at] ?? 0 });
    }
    return parts;
  }
}
