import type { Archive } from "../archive/archive.ts";
import { fileTable, type FileTable } from "./files/table.ts";
import { sharedPagemap } from "./pagemap.ts";
import type { PageRun } from "./runs.ts";

/** What the processes of a checkpoint have in common, loaded once when first needed. */
export interface Commons {
  readonly files: () => Promise<FileTable>;
  /** Undefined where the archive has no pagemap of it. Throws a UserError where that is damaged. */
  readonly shared: (shmid: bigint, pageSize: number) => Promise<SharedPages | undefined>;
}

export function commonsOf(archive: Archive): Commons {
  let files: Promise<FileTable> | undefined;
  const shared = new Map<bigint, Promise<SharedPages | undefined>>();
  return {
    files: async () => await (files ??= fileTable(archive)),
    shared: async (shmid, pageSize) => {
      const pages = shared.get(shmid) ?? loadShared(archive, shmid, pageSize);
      shared.set(shmid, pages);
      return await pages;
    },
  };
}

/** The pages of a piece of shared memory. Addresses count from its beginning. */
export interface SharedPages {
  /** Of its pagemap image, in the archive. */
  readonly name: string;
  /** All of them: shared memory is mapped at many places, so they are kept. */
  readonly runs: readonly PageRun[];
  /** Those that end after an offset, ascending. Throws a UserError where an archive makes too much of this. */
  readonly after: (offset: bigint) => Iterable<PageRun>;
}

async function loadShared(archive: Archive, shmid: bigint, pageSize: number): Promise<SharedPages | undefined> {
  const map = await sharedPagemap(archive, shmid, pageSize);
  if (map === undefined) return undefined;
  const runs: PageRun[] = [];
  for await (const batch of map.runs()) {
    archive.budget.keep(map.name, batch.length);
    for (const run of batch) runs.push(run);
  }
  return { name: map.name, runs, after: (offset) => runsAfter(runs, offset, pageSize, () => archive.budget.step()) };
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
