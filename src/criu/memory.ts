import type { Archive } from "../archive/archive.ts";
import { commonsOf, type Commons, type SharedPages } from "./commons.ts";
import { processPagemap, type Pagemap } from "./pagemap.ts";
import { notThere, type Tell } from "./problems.ts";
import { addressSpace, unknownRegion, unknownSpace, type AddressSpace, type Region } from "./regions.ts";
import { partOf, type PageRun } from "./runs.ts";

/** The memory of one process: its regions, and those of their pages that are in the archive. */
export interface ProcessMemory {
  readonly space: AddressSpace;
  /** What space.mappings has; where they are not known, the contiguous pieces of its own pages. */
  readonly regions: readonly Region[];
  /** In bytes, of the machine that the checkpoint was made on. */
  readonly pageSize: number;
  /** Its own pages: of everything but shared memory. */
  readonly own: Pagemap;
  /** The pages of a piece of shared memory; addresses count from its beginning. */
  readonly shared: (shmid: bigint) => Promise<SharedPages | undefined>;
}

/**
 * Undefined where the process has no memory of its own (zombies). Where the image of its mappings is missing, `tell` gets that, and they
 * are unknown. Throws a UserError where its images are damaged, or none tells of its pages.
 */
export async function processMemory(
  archive: Archive,
  pid: number,
  pageSize: number,
  tell: Tell,
  commons: Commons = commonsOf(archive),
): Promise<ProcessMemory | undefined> {
  const found = await addressSpace(archive, pid);
  const own = await processPagemap(archive, pid, pageSize);
  if (found === undefined && own === undefined) return undefined;
  if (own === undefined) throw notThere(`checkpoint/pagemap-${pid}.img is not in the archive`, "it tells which memory of the process is");
  if (found === undefined) tell(noMappings(pid));
  const space = found === undefined ? unknownSpace(pid) : await withMemfds(found, commons);
  const regions = space.mappings ?? (await pieces(own, pageSize, archive));
  return { space, regions, pageSize, own, shared: async (shmid) => await commons.shared(shmid, pageSize) };
}

async function pieces(own: Pagemap, pageSize: number, { budget }: Archive): Promise<Region[]> {
  const found: Region[] = [];
  let piece: { start: bigint; end: bigint } | undefined;
  for await (const batch of own.runs()) {
    for (const { address, pages } of batch) {
      const end = address + BigInt(pages) * BigInt(pageSize);
      if (piece?.end === address) piece.end = end;
      else {
        if (piece !== undefined) found.push(unknownRegion(piece.start, piece.end));
        budget.keep(own.name, 1);
        piece = { start: address, end };
      }
    }
  }
  if (piece !== undefined) found.push(unknownRegion(piece.start, piece.end));
  return found;
}

function noMappings(pid: number): ReturnType<typeof notThere> {
  return notThere(
    `checkpoint/mm-${pid}.img is not in the archive: what is mapped in process ${pid} is unknown, its arguments and environment too`,
    "its own memory is there, without shared memory",
  );
}

/** The memory of a process as the process tree has it: zombies have none. Throws a UserError where a living one's is missing or damaged. */
export async function memoryOf(
  archive: Archive,
  { pid, state }: { readonly pid: number; readonly state: string },
  pageSize: number,
  tell: Tell,
  commons: Commons,
): Promise<ProcessMemory | undefined> {
  if (state === "zombie") return undefined;
  const memory = await processMemory(archive, pid, pageSize, tell, commons);
  if (memory === undefined && state !== "unknown") {
    throw notThere(`neither checkpoint/mm-${pid}.img nor checkpoint/pagemap-${pid}.img is in the archive`, `process ${pid} was alive`);
  }
  return memory;
}

/**
 * The pages of the shared memory that a region maps; undefined where it maps none. Throws a UserError where the image that
 * tells of them is not in the archive: CRIU writes one for all shared memory, written to or not.
 */
export async function sharedPages(memory: ProcessMemory, { kind, shmid, start }: Region): Promise<SharedPages | undefined> {
  if (kind !== "shared") return undefined;
  const where = `the shared memory that process ${memory.space.pid} has at 0x${start.toString(16)}`;
  if (shmid === undefined)
    throw notThere(`${where} is unknown`, "checkpoint/files.img and checkpoint/memfd.img, which say what it is, lack it");
  const pages = await memory.shared(shmid);
  if (pages === undefined)
    throw notThere(`checkpoint/pagemap-shmem-${shmid}.img is not in the archive`, `it tells what is there of ${where}`);
  return pages;
}

/** Names the pages of memfds that are mapped. */
async function withMemfds(space: AddressSpace, { files }: Commons): Promise<AddressSpace> {
  const { mappings } = space;
  if (mappings === undefined || !mappings.some(isMemfd)) return space;
  const table = await files();
  return {
    ...space,
    mappings: mappings.map((region) => (isMemfd(region) ? { ...region, shmid: table.files.get(region.fileId ?? 0)?.shmid } : region)),
  };
}

function isMemfd({ note, fileId }: Region): boolean {
  return note === "memfd" && fileId !== undefined;
}

/** A run of pages within one region, or outside of all. */
export interface PlacedRun extends PageRun {
  readonly region: Region | undefined;
}

/** Runs of a process's own pages, cut where regions begin and end; in batches, ascending. */
export async function* placedRuns({ own, regions, pageSize }: ProcessMemory): AsyncGenerator<PlacedRun[]> {
  const size = BigInt(pageSize);
  let at = 0;
  for await (const batch of own.runs()) {
    const placed: PlacedRun[] = [];
    for (const run of batch) {
      for (let done = 0; done < run.pages;) {
        const address = run.address + BigInt(done) * size;
        while ((regions[at]?.end ?? -1n) <= address && at < regions.length) at += 1;
        const next = regions[at];
        const region = next !== undefined && next.start <= address ? next : undefined;
        const border = region?.end ?? next?.start;
        const left = run.pages - done;
        const pages = Math.min(left, border === undefined ? left : Math.max(1, Number((border - address) / size)));
        placed.push({ ...partOf(run, done, pages, pageSize), region });
        done += pages;
      }
    }
    yield placed;
  }
}
