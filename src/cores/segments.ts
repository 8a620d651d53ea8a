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

/** Of a file that is mapped: bytes from elsewhere for what the archive does not have, as far as they go. */
export type FilePages = (
  region: Region,
  start: bigint,
  end: bigint,
) => Promise<{ readonly source: Source; readonly length: number } | undefined>;

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
    const { start, end } = place;
    while (at < regions.length && (regions[at]?.end ?? 0n) <= start) at += 1;
    const next = regions[at];
    const region = next !== undefined && next.start <= start ? next : undefined;
    // Of many gaps nothing is wanted: they are passed over at once.
    if (!("source" in place) && region === undefined) continue;
    const found = "source" in place ? partOf(place) : await zerosOrFile(place, region, filePages);
    if (found === undefined) continue;
    const joins = open !== undefined && open.region === region && open.end === start && open.parts.length < MOST_PARTS;
    if (open !== undefined && joins && "source" in found && open.fileBytes === open.end - open.start) {
      open.add(found, end);
      continue;
    }
    // The rest of a file's last page is zeros; so is what comes after it.
    if (open !== undefined && joins && !("source" in found) && start % BigInt(memory.pageSize) !== 0n) {
      open.end = end;
      continue;
    }
    if (open !== undefined) yield open.segment();
    open = new Building(start, region);
    if ("source" in found) open.add(found, end);
    else open.end = end;
  }
  if (open !== undefined) yield open.segment();
}

const EVERYWHERE = { start: 0n, end: 1n << 64n };

function partOf({ start, end, source, offset }: Extract<MemoryPlace, SourceAt>): SegmentPart {
  return { source, offset, length: Number(end - start) };
}

type SourceAt = { readonly source: Source };

/** Undefined for what is not known, and for what nobody can read. */
async function zerosOrFile(
  { start, end, absent }: Exclude<MemoryPlace, SourceAt>,
  region: Region | undefined,
  filePages: FilePages,
): Promise<SegmentPart | Zeros | undefined> {
  if (region === undefined) return undefined;
  if (absent === "untouched") return region.access.startsWith("r") ? ZEROS : undefined;
  if (absent !== "file") return undefined;
  const pages = await filePages(region, start, end);
  return pages && { source: pages.source, offset: 0, length: pages.length };
}

interface Zeros {
  readonly zeros: true;
}

const ZEROS: Zeros = { zeros: true };

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

  add(part: SegmentPart, end: bigint): void {
    const last = this.parts.at(-1);
    // Pages that lie one after the other in their file too are read at once.
    if (last?.source === part.source && last.offset + last.length === part.offset)
      this.parts[this.parts.length - 1] = { ...last, length: last.length + part.length };
    else this.parts.push(part);
    this.fileBytes += BigInt(part.length);
    this.end = end;
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
