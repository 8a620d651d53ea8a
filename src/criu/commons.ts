import type { Archive } from "../archive/archive.ts";
import { fileTable, type FileTable } from "./files/table.ts";
import { MAX_SHARED_STEPS, MAX_TABLE_ITEMS } from "./limits.ts";
import { sharedPagemap, type PageRun } from "./pagemap.ts";
import { pagesOf, type Pages } from "./pages.ts";
import { excessive } from "./problems.ts";

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

export interface SharedPages extends Pages {
  /** All of them: shared memory is mapped at many places, so they are kept. */
  readonly runs: readonly PageRun[];
  /** Those that end after an offset, ascending. Throws a UserError where an archive makes too much of this. */
  readonly after: (offset: bigint, pageSize: number) => Iterable<PageRun>;
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
  return { ...pagesOf(archive, map), runs, after };
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
