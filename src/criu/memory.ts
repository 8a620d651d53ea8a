import type { Archive } from "../archive/archive.ts";
import { commonsOf, type Commons, type SharedPages } from "./commons.ts";
import { processPagemap, type Pagemap } from "./pagemap.ts";
import { notThere } from "./problems.ts";
import { addressSpace, type AddressSpace, type Region } from "./regions.ts";
import { partOf, type PageRun } from "./runs.ts";

/** The memory of one process: its regions, and those of their pages that are in the archive. */
export interface ProcessMemory {
  readonly space: AddressSpace;
  /** In bytes, of the machine that the checkpoint was made on. */
  readonly pageSize: number;
  /** Its own pages: of everything but shared memory. */
  readonly own: Pagemap;
  /** The pages of a piece of shared memory; addresses count from its beginning. */
  readonly shared: (shmid: bigint) => Promise<SharedPages | undefined>;
}

/** Undefined where the process has no memory of its own (zombies). Throws a UserError where its images are missing or damaged. */
export async function processMemory(
  archive: Archive,
  pid: number,
  pageSize: number,
  commons: Commons = commonsOf(archive),
): Promise<ProcessMemory | undefined> {
  const found = await addressSpace(archive, pid);
  if (found === undefined) return undefined;
  const own = await processPagemap(archive, pid, pageSize);
  if (own === undefined) throw notThere(`checkpoint/pagemap-${pid}.img is not in the archive`, "it tells which memory of the process is");
  return { space: await withMemfds(found, commons), pageSize, own, shared: async (shmid) => await commons.shared(shmid, pageSize) };
}

/** The memory of a process as the process tree has it: zombies have none. Throws a UserError where a living one's is missing or damaged. */
export async function memoryOf(
  archive: Archive,
  { pid, state }: { readonly pid: number; readonly state: string },
  pageSize: number,
  commons: Commons,
): Promise<ProcessMemory | undefined> {
  if (state === "zombie") return undefined;
  const memory = await processMemory(archive, pid, pageSize, commons);
  if (memory === undefined) throw notThere(`checkpoint/mm-${pid}.img is not in the archive`, `process ${pid} was alive`);
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
    throw notThere(`${where} cannot be told`, "checkpoint/files.img and checkpoint/memfd.img, which say what it is, lack it");
  const pages = await memory.shared(shmid);
  if (pages === undefined)
    throw notThere(`checkpoint/pagemap-shmem-${shmid}.img is not in the archive`, `it tells what is there of ${where}`);
  return pages;
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

/** A run of pages within one region, or outside of all. */
export interface PlacedRun extends PageRun {
  readonly region: Region | undefined;
}

/** Runs of a process's own pages, cut where regions begin and end; in batches, ascending. */
export async function* placedRuns({ own, space, pageSize }: ProcessMemory): AsyncGenerator<PlacedRun[]> {
  const { regions } = space;
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
