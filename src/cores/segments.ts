import type { Contents } from "../criu/contents.ts";
import type { ProcessMemory } from "../criu/memory.ts";
import type { Tell } from "../criu/problems.ts";
import { memoryPlaces, type MemoryPlace } from "../criu/read.ts";
import type { Region } from "../criu/regions.ts";
import type { CoreSegment } from "../elf/core-file.ts";
import type { Source } from "../model/source.ts";

/** A PT_LOAD, and where its bytes are: in pieces, one after the other. */
export interface PlacedSegment extends CoreSegment {
  readonly parts: readonly SegmentPart[];
}

export interface SegmentPart {
  readonly source: Source;
  readonly offset: number;
  readonly length: number;
}

/** Of a file that is mapped: bytes from elsewhere for what the archive does not have, from `start` as far as they go. */
export type FilePages = (region: Region, start: bigint) => Promise<Source | undefined>;

export interface SegmentSetting {
  readonly memory: ProcessMemory;
  readonly contents: Contents;
  readonly tell: Tell;
  readonly filePages: FilePages;
}

/** Memory that is copied at once lies in at most so many pieces: segments of more are several. */
const MOST_PARTS = 256;

/**
 * The segments of a process, ascending. Memory that was never written to is one without bytes, which reads as zeros; of what is not
 * known there is none, for debuggers would show zeros.
 */
export async function* segmentsOf({ memory, contents, tell, filePages }: SegmentSetting): AsyncGenerator<PlacedSegment> {
  const { regions } = memory;
  let at = 0;
  let open: Building | undefined;
  for await (const place of memoryPlaces(memory, EVERYWHERE, { contents, tell })) {
    const { start } = place;
    while (at < regions.length && (regions[at]?.end ?? 0n) <= start) at += 1;
    const next = regions[at];
    const region = next !== undefined && next.start <= start ? next : undefined;
    // Of many gaps nothing is wanted: they are passed over at once.
    if (!("source" in place) && region === undefined) continue;
    const part = "source" in place ? partOf(place) : await filePart(place, region, filePages);
    if (part === undefined && !isZeros(place, region)) continue;
    const end = part === undefined ? place.end : start + BigInt(part.length);
    const joins = open !== undefined && open.region === region && open.end === start;
    if (open !== undefined && joins && open.takes(part, memory.pageSize)) {
      open.add(part, end);
      continue;
    }
    if (open !== undefined) yield open.segment();
    open = new Building(start, region);
    open.add(part, end);
  }
  if (open !== undefined) yield open.segment();
}

const EVERYWHERE = { start: 0n, end: 1n << 64n };

function partOf({ start, end, source, offset }: Extract<MemoryPlace, SourceAt>): SegmentPart {
  return { source, offset, length: Number(end - start) };
}

type SourceAt = { readonly source: Source };

/** Of a mapped file that the archive does not have, what there is of it elsewhere. */
async function filePart(
  { start, absent }: Exclude<MemoryPlace, SourceAt>,
  region: Region | undefined,
  filePages: FilePages,
): Promise<SegmentPart | undefined> {
  const source = region === undefined || absent !== "file" ? undefined : await filePages(region, start);
  return source && { source, offset: 0, length: source.size };
}

/** Whether a process reads zeros there: of what nobody can read, debuggers need not know. */
function isZeros(place: MemoryPlace, region: Region | undefined): boolean {
  return "absent" in place && place.absent === "untouched" && region?.access.startsWith("r") === true;
}

class Building {
  readonly start: bigint;
  readonly region: Region | undefined;
  readonly parts: SegmentPart[] = [];
  end: bigint;
  fileBytes = 0n;

  constructor(start: bigint, region: Region | undefined) {
    this.start = start;
    this.end = start;
    this.region = region;
  }

  /** Whether it may go on with bytes, or with zeros: those come last. */
  takes(part: SegmentPart | undefined, pageSize: number): boolean {
    const isFull = this.fileBytes === this.end - this.start;
    if (part !== undefined) return isFull && this.fileBytes > 0n && this.parts.length < MOST_PARTS;
    // The rest of a file's last page is zeros; so is what comes after it.
    return !isFull || this.end % BigInt(pageSize) !== 0n;
  }

  add(part: SegmentPart | undefined, end: bigint): void {
    this.end = end;
    if (part === undefined) return;
    const last = this.parts.at(-1);
    // Pages that lie one after the other in their file too are read at once.
    if (last?.source === part.source && last.offset + last.length === part.offset)
      this.parts[this.parts.length - 1] = { ...last, length: last.length + part.length };
    else this.parts.push(part);
    this.fileBytes += BigInt(part.length);
  }

  segment(): PlacedSegment {
    const { start, end, region, parts, fileBytes } = this;
    return { address: start, memoryBytes: end - start, fileBytes, flags: flagsOf(region), parts };
  }
}

/** PF_R, PF_W, PF_X; of memory whose mappings are not known, that it can be read. */
function flagsOf(region: Region | undefined): number {
  const access = region?.access ?? "";
  if (!/^[r-][w-][x-]/.test(access)) return 4;
  return (access[0] === "r" ? 4 : 0) | (access[1] === "w" ? 2 : 0) | (access[2] === "x" ? 1 : 0);
}
