import type { Archive } from "../archive/archive.ts";
import type { Source } from "../model/source.ts";
import { fileTable, type FileTable } from "./files/table.ts";
import { MAX_SHARED_STEPS, MAX_TABLE_ITEMS } from "./limits.ts";
import { openPages, processPagemap, sharedPagemap, type Pagemap, type PageRun } from "./pagemap.ts";
import { damaged, excessive, notThere } from "./problems.ts";
import { addressSpace, regionAfter, type AddressRange, type AddressSpace, type Region } from "./regions.ts";

/** The memory of one process: its regions, and those of their pages that are in the archive. */
export interface ProcessMemory {
  readonly space: AddressSpace;
  /** In bytes, of the machine that the checkpoint was made on. */
  readonly pageSize: number;
  /** Its own pages: of everything but shared memory. */
  readonly own: Pages | undefined;
  /** The pages of a piece of shared memory; addresses count from its beginning. */
  readonly shared: (shmid: bigint) => Promise<SharedPages | undefined>;
}

/** A pagemap with its file of pages. */
export interface Pages {
  readonly map: Pagemap;
  readonly source: Source | undefined;
}

export interface SharedPages extends Pages {
  /** All of them: shared memory is mapped at many places, so they are kept. */
  readonly runs: readonly PageRun[];
  /** Those that end after an offset, ascending. Throws a UserError where an archive makes too much of this. */
  readonly after: (offset: bigint, pageSize: number) => Iterable<PageRun>;
}

/** Why bytes of a range are not in the archive. */
export type Absence =
  /** No mapping of the process. */
  | "unmapped"
  /** Never written to: the process reads zeros there. */
  | "untouched"
  /** As in the mapped file, which CRIU does not put into its images. */
  | "file"
  /** The kernel's own, made anew by a restore (vvar). */
  | "kernel"
  /** In an earlier checkpoint that this one builds on. */
  | "parent"
  /** Left on the node, to be sent when a restored process touches it. */
  | "lazy";

/** A part of a range: its bytes, or why they are not there. */
export type MemoryPiece = AddressRange & ({ readonly bytes: Buffer } | { readonly absent: Absence });

/** Bytes read at once. */
const CHUNK = 1024 * 1024;

/** What the processes of a checkpoint have in common, loaded once when first needed. */
export interface Commons {
  readonly files: () => Promise<FileTable>;
  readonly shared: (shmid: bigint) => Promise<SharedPages | undefined>;
}

export function commonsOf(archive: Archive): Commons {
  let files: Promise<FileTable> | undefined;
  const shared = new Map<bigint, Promise<SharedPages | undefined>>();
  let steps = 0;
  const step = (name: string): void => {
    steps += 1;
    if (steps > MAX_SHARED_STEPS) throw excessive(name, "its memory is mapped too many times");
  };
  return {
    files: async () => await (files ??= fileTable(archive)),
    shared: async (shmid) => {
      const pages = shared.get(shmid) ?? loadShared(archive, shmid, step);
      shared.set(shmid, pages);
      return await pages;
    },
  };
}

/** Undefined where the process has no memory of its own (zombies). Throws a UserError where its images are damaged. */
export async function processMemory(
  archive: Archive,
  pid: number,
  pageSize: number,
  commons: Commons = commonsOf(archive),
): Promise<ProcessMemory | undefined> {
  const found = await addressSpace(archive, pid);
  if (found === undefined) return undefined;
  const space = await withMemfds(found, commons);
  const map = await processPagemap(archive, pid);
  return { space, pageSize, own: map && { map, source: openPages(archive, map) }, shared: commons.shared };
}

async function withMemfds(space: AddressSpace, { files }: Commons): Promise<AddressSpace> {
  if (!space.regions.some(isMemfd)) return space;
  const table = await files();
  const regions = space.regions.map((region) =>
    isMemfd(region) ? { ...region, shmid: table.files.get(region.fileId ?? 0)?.shmid } : region,
  );
  return { ...space, regions };
}

function isMemfd({ kind, fileId }: Region): boolean {
  return kind === "shared" && fileId !== undefined;
}

async function loadShared(archive: Archive, shmid: bigint, step: (name: string) => void): Promise<SharedPages | undefined> {
  const map = await sharedPagemap(archive, shmid);
  if (map === undefined) return undefined;
  const runs: PageRun[] = [];
  for await (const batch of map.runs()) {
    for (const run of batch) runs.push(run);
    if (runs.length > MAX_TABLE_ITEMS) throw excessive(map.name, `more than ${MAX_TABLE_ITEMS} entries`);
  }
  const after = (offset: bigint, pageSize: number): Iterable<PageRun> => runsAfter(runs, offset, pageSize, () => step(map.name));
  return { map, source: openPages(archive, map), runs, after };
}

/** A run of pages within one region, or outside of all. */
export interface PlacedRun extends PageRun {
  readonly region: Region | undefined;
}

/** Runs of a process's own pages, cut where regions begin and end; in batches, ascending. */
export async function* placedRuns({ own, space, pageSize }: ProcessMemory): AsyncGenerator<PlacedRun[]> {
  if (own === undefined) return;
  const { regions } = space;
  const size = BigInt(pageSize);
  let at = 0;
  for await (const batch of own.map.runs()) {
    const placed: PlacedRun[] = [];
    for (const run of batch) {
      let { address, pages, firstPage } = run;
      while (pages > 0) {
        while ((regions[at]?.end ?? -1n) <= address && at < regions.length) at += 1;
        const next = regions[at];
        const region = next !== undefined && next.start <= address ? next : undefined;
        const border = region?.end ?? next?.start;
        const room = border === undefined ? pages : Math.max(1, Number((border - address) / size));
        const part = Math.min(pages, room);
        placed.push({ address, pages: part, content: run.content, firstPage, region });
        address += BigInt(part) * size;
        pages -= part;
        firstPage += part;
      }
    }
    yield placed;
  }
}

/**
 * The bytes of a range of a process's memory, in order and without a gap: what is not in the archive comes as a piece
 * without bytes that says why. Throws a UserError where the images are damaged.
 */
export async function* readMemory(memory: ProcessMemory, range: AddressRange): AsyncGenerator<MemoryPiece> {
  let at = range.start;
  for await (const { start, end, run, pages, region } of mappedRuns(memory, range)) {
    if (start > at) yield* absent(memory, { start: at, end: start });
    if (run.content === "present") yield* presentPieces(pages, run, { start, end }, memory.pageSize);
    else if (run.content === "none") yield* absent(memory, { start, end });
    else yield { start, end, absent: region === undefined ? "unmapped" : run.content };
    at = end;
  }
  if (at < range.end) yield* absent(memory, { start: at, end: range.end });
}

interface MappedRun extends AddressRange {
  readonly run: PageRun;
  readonly pages: Pages;
  readonly region: Region | undefined;
}

/** Runs within a range, of the process's own pages and of shared memory as it is mapped, ascending. */
async function* mappedRuns(memory: ProcessMemory, range: AddressRange): AsyncGenerator<MappedRun> {
  const { own, pageSize, space } = memory;
  const shared = space.regions.filter(({ shmid, start, end }) => shmid !== undefined && end > range.start && start < range.end);
  const sharedBefore = async function* (limit: bigint): AsyncGenerator<MappedRun> {
    for (let region = shared[0]; region !== undefined && region.start < limit; region = shared[0]) {
      shared.shift();
      yield* sharedRuns(memory, region, range);
    }
  };
  if (own !== undefined) {
    for await (const batch of placedRuns(memory)) {
      for (const run of batch) {
        const mapped = clipped(run.address, run, pageSize, range);
        if (run.address >= range.end) break;
        if (mapped === undefined || run.region?.shmid !== undefined) continue;
        yield* sharedBefore(run.address);
        yield { ...mapped, run, pages: own, region: run.region };
      }
      if ((batch.at(-1)?.address ?? 0n) >= range.end) break;
    }
  }
  yield* sharedBefore(range.end);
}

async function* sharedRuns(memory: ProcessMemory, region: Region, range: AddressRange): AsyncGenerator<MappedRun> {
  const pages = region.shmid === undefined ? undefined : await memory.shared(region.shmid);
  if (pages === undefined) return;
  const window = { start: max(region.start, range.start), end: min(region.end, range.end) };
  const shift = region.start - region.offset;
  for (const run of pages.after(window.start - shift, memory.pageSize)) {
    if (run.address + shift >= window.end) break;
    const mapped = clipped(run.address + shift, run, memory.pageSize, window);
    if (mapped !== undefined) yield { ...mapped, run: { ...run, address: run.address + shift }, pages, region };
  }
}

/** The runs that end after an address: ascending, so half of them are left out at a time. */
function* runsAfter(runs: readonly PageRun[], address: bigint, pageSize: number, step: () => void): Generator<PageRun> {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const run = runs[middle];
    if (run !== undefined && run.address + BigInt(run.pages) * BigInt(pageSize) <= address) low = middle + 1;
    else high = middle;
  }
  for (let at = low; at < runs.length; at += 1) {
    step();
    yield runs[at] as PageRun;
  }
}

function clipped(address: bigint, { pages }: PageRun, pageSize: number, range: AddressRange): AddressRange | undefined {
  const start = max(address, range.start);
  const end = min(address + BigInt(pages) * BigInt(pageSize), range.end);
  return start < end ? { start, end } : undefined;
}

async function* presentPieces(pages: Pages, run: PageRun, { start, end }: AddressRange, pageSize: number): AsyncGenerator<MemoryPiece> {
  const source = pagesSource(pages, run, pageSize);
  const base = run.firstPage * pageSize;
  for (let at = start; at < end;) {
    const length = Math.min(CHUNK, Number(end - at));
    const bytes = await source.read(base + Number(at - run.address), length);
    yield { start: at, end: at + BigInt(length), bytes };
    at += BigInt(length);
  }
}

/** The file that holds a run's pages. Throws a UserError where it is missing or too short for them. */
export function pagesSource({ map, source }: Pages, run: PageRun, pageSize: number): Source {
  if (source === undefined) throw notThere(`${map.pagesName} is not in the archive`, `${map.name} says that it holds its pages`);
  if ((run.firstPage + run.pages) * pageSize > source.size) {
    throw damaged(map.pagesName, `it has ${source.size} bytes, fewer than the pages that ${map.name} counts`);
  }
  return source;
}

function* absent({ space }: ProcessMemory, range: AddressRange): Generator<MemoryPiece> {
  let at = range.start;
  for (let index = regionAfter(space.regions, at); at < range.end; index += 1) {
    const region = space.regions[index];
    if (region === undefined || region.start >= range.end) break;
    if (region.start > at) yield { start: at, end: region.start, absent: "unmapped" };
    const start = max(at, region.start);
    at = min(range.end, region.end);
    yield { start, end: at, absent: region.kind === "file" ? "file" : region.kind === "vdso" ? "kernel" : "untouched" };
  }
  if (at < range.end) yield { start: at, end: range.end, absent: "unmapped" };
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
