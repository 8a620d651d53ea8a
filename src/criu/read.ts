import type { UserError } from "../model/error.ts";
import type { Source } from "../model/source.ts";
import type { SharedPages } from "./commons.ts";
import type { Contents } from "./contents.ts";
import { placedRuns, sharedPages, type ProcessMemory } from "./memory.ts";
import { attempt, type Tell } from "./problems.ts";
import { regionAfter, type AddressRange, type Region } from "./regions.ts";
import type { PageRun } from "./runs.ts";

/** Why bytes of a range are not in the archive. */
export type Absence =
  /** No mapping of the process. */
  | "unmapped"
  /** Never written to: the process reads zeros there. */
  | "untouched"
  /** As in the mapped file, which is not in the archive. */
  | "file"
  /** What is mapped there is not known: the image that tells it is missing. */
  | "unknown"
  /** The kernel's own, made anew by a restore (vvar). */
  | "kernel"
  /** In an earlier checkpoint that this one builds on. */
  | "parent"
  /** Left on the node, to be sent when a restored process touches it. */
  | "lazy"
  /** The image that has it is missing, or damaged. */
  | "lost";

/** A part of a range: its bytes, or why they are not there. */
export type MemoryPiece = AddressRange & ({ readonly bytes: Buffer } | { readonly absent: Absence });

/** A part of a range: where its bytes are, from `offset` on, or why they are not there. */
export type MemoryPlace = AddressRange & (Located | { readonly absent: Absence });

interface Located {
  readonly source: Source;
  readonly offset: number;
}

/** Bytes read at once. */
const CHUNK = 1024 * 1024;

export interface MemoryReading {
  /** Takes what is wrong with images of shared memory and of mapped files; without it, that is thrown. */
  readonly tell?: Tell;
  /** Where the bytes of mapped files are, which are not among a process's own pages. */
  readonly contents?: Contents;
}

/**
 * The bytes of a range of a process's memory, in order and without a gap: what is not in the archive comes as a piece
 * without bytes that says why. Throws a UserError where the images are damaged, or those of shared memory are missing.
 */
export async function* readMemory(memory: ProcessMemory, range: AddressRange, reading: MemoryReading = {}): AsyncGenerator<MemoryPiece> {
  for await (const place of memoryPlaces(memory, range, reading)) {
    if (!("source" in place)) {
      yield place;
      continue;
    }
    const { start, end, source, offset } = place;
    for (let at = start; at < end;) {
      const length = Math.min(CHUNK, Number(end - at));
      const bytes = await source.read(offset + Number(at - start), length);
      yield { start: at, end: at + BigInt(length), bytes };
      at += BigInt(length);
    }
  }
}

/** As readMemory, but where the bytes are: none of them is read. */
export async function* memoryPlaces(
  memory: ProcessMemory,
  range: AddressRange,
  { tell = thrown, contents }: MemoryReading = {},
): AsyncGenerator<MemoryPlace> {
  const lost = new Set<Region>();
  const gap = (start: bigint, end: bigint): AsyncGenerator<MemoryPlace> => absent(memory, { start, end }, lost, tell, contents);
  let at = range.start;
  for await (const { start, end, run, region } of mappedRuns(memory, range, lost, tell)) {
    if (start > at) yield* gap(at, start);
    if (run.content === "present") {
      if (run.source !== undefined) yield { start, end, source: run.source, offset: run.offset + Number(start - run.address) };
    } else if (run.content === "none") yield* gap(start, end);
    else yield { start, end, absent: region === undefined ? "unmapped" : run.content };
    at = end;
  }
  if (at < range.end) yield* gap(at, range.end);
}

function thrown(problem: UserError): never {
  throw problem;
}

interface MappedRun extends AddressRange {
  readonly run: PageRun;
  readonly region: Region | undefined;
}

/** Runs within a range, of the process's own pages and of shared memory as it is mapped, ascending. */
async function* mappedRuns(memory: ProcessMemory, range: AddressRange, lost: Set<Region>, tell: Tell): AsyncGenerator<MappedRun> {
  const { pageSize, regions } = memory;
  const shared = regions.filter(({ kind, start, end }) => kind === "shared" && end > range.start && start < range.end);
  let passed = 0;
  const sharedBefore = async function* (limit: bigint): AsyncGenerator<MappedRun> {
    for (let region = shared[passed]; region !== undefined && region.start < limit; region = shared[passed]) {
      passed += 1;
      const pages = await attempt(tell, async () => await sharedPages(memory, region));
      if (pages === undefined) lost.add(region);
      else yield* sharedRuns(memory, region, pages, range);
    }
  };
  for await (const batch of placedRuns(memory)) {
    for (const run of batch) {
      const mapped = clipped(run.address, run, pageSize, range);
      if (run.address >= range.end) break;
      if (mapped === undefined || run.region?.kind === "shared") continue;
      // Nearly always there is none: a generator for each run would cost more than the run.
      if ((shared[passed]?.start ?? range.end) < run.address) yield* sharedBefore(run.address);
      yield { ...mapped, run, region: run.region };
    }
    if ((batch.at(-1)?.address ?? 0n) >= range.end) break;
  }
  yield* sharedBefore(range.end);
}

function* sharedRuns({ pageSize }: ProcessMemory, region: Region, pages: SharedPages, range: AddressRange): Generator<MappedRun> {
  const window = { start: max(region.start, range.start), end: min(region.end, range.end) };
  const shift = region.start - region.offset;
  for (const run of pages.after(window.start - shift)) {
    if (run.address + shift >= window.end) break;
    const mapped = clipped(run.address + shift, run, pageSize, window);
    if (mapped !== undefined) yield { ...mapped, run: { ...run, address: run.address + shift }, region };
  }
}

function clipped(address: bigint, { pages }: PageRun, pageSize: number, range: AddressRange): AddressRange | undefined {
  const start = max(address, range.start);
  const end = min(address + BigInt(pages) * BigInt(pageSize), range.end);
  return start < end ? { start, end } : undefined;
}

/** What is no page of the process's own: of mapped files what the archive has of them, else why there is nothing. */
async function* absent(
  { space, regions }: ProcessMemory,
  range: AddressRange,
  lost: Set<Region>,
  tell: Tell,
  contents: Contents | undefined,
): AsyncGenerator<MemoryPlace> {
  const nothing = space.mappings === undefined ? "unknown" : "unmapped";
  let at = range.start;
  for (let index = regionAfter(regions, at); at < range.end; index += 1) {
    const region = regions[index];
    if (region === undefined || region.start >= range.end) break;
    if (region.start > at) yield { start: at, end: region.start, absent: nothing };
    const start = max(at, region.start);
    at = min(range.end, region.end);
    if (lost.has(region)) yield { start, end: at, absent: "lost" };
    else if (region.kind === "file") yield* fileBytes(region, { start, end: at }, tell, contents);
    else yield { start, end: at, absent: region.kind === "vdso" ? "kernel" : "untouched" };
  }
  if (at < range.end) yield { start: at, end: range.end, absent: nothing };
}

/** Behind the end of a file there is nothing, but for the rest of its last page, which is zeros. */
async function* fileBytes(
  { start: base, offset, fileId }: Region,
  { start, end }: AddressRange,
  tell: Tell,
  contents: Contents | undefined,
): AsyncGenerator<MemoryPlace> {
  const content = fileId === undefined ? undefined : await attempt(tell, async () => await contents?.of(fileId));
  if (content === undefined) {
    yield { start, end, absent: "file" };
    return;
  }
  const { source } = content;
  const last = min(end, max(start, base + BigInt(source.size) - offset));
  if (start < last) yield { start, end: last, source, offset: Number(offset + (start - base)) };
  if (last < end) yield { start: last, end, absent: "untouched" };
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
