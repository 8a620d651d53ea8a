import { placedRuns, type PlacedRun, type ProcessMemory } from "../../../criu/memory.ts";
import type { Tell } from "../../../criu/problems.ts";
import type { Region } from "../../../criu/regions.ts";
import { UserError } from "../../../model/error.ts";
import { comparePages, type PlacedPages } from "./pages.ts";
import type { RegionPair } from "./regions.ts";
import { compareShared } from "./shared.ts";

/** How much of a region either archive holds, and how much of that differs; in bytes. */
export interface RegionChange {
  readonly region: Region;
  /** Where the other archive has no such region. */
  readonly only?: "from" | "to";
  readonly compared: number;
  readonly changed: number;
}

/** Compares the memory of two processes within paired regions. Throws a UserError where pages cannot be read. */
export async function compareMemory(
  from: ProcessMemory,
  to: ProcessMemory,
  pairs: readonly RegionPair[],
  tell: Tell,
): Promise<RegionChange[]> {
  const { pageSize } = from;
  const counts = pairs.map(([region]) => ({ region, compared: 0, changed: 0 }));
  const count = (pair: number, compared: number, changed: number): void => {
    const counted = counts[pair];
    if (counted === undefined) return;
    counted.compared += compared * pageSize;
    counted.changed += changed * pageSize;
  };
  const left = sideOf(from, new Map(pairs.map(([region], index) => [region, index])), tell);
  const right = sideOf(to, new Map(pairs.map(([, region], index) => [region, index])), tell);
  await comparePages(left.placed, right.placed, pageSize, ({ pair }, compared, changed) => count(pair, compared, changed));
  for (const [index, pair] of pairs.entries()) {
    await compareShared(from, to, pair, (compared, changed) => count(index, compared, changed));
  }
  return [...counts, ...(await left.alone("from")), ...(await right.alone("to"))];
}

interface OwnSide {
  readonly placed: AsyncIterable<PlacedPages>;
  /** After the comparison: the regions without a counterpart, with what the archive holds of them. */
  alone(only: "from" | "to"): Promise<RegionChange[]>;
}

function sideOf(memory: ProcessMemory, pairs: ReadonlyMap<Region, number>, tell: Tell): OwnSide {
  const { pageSize } = memory;
  const alone = new Map<Region, number>();
  const add = (region: Region, pages: number): void => void alone.set(region, (alone.get(region) ?? 0) + pages * pageSize);
  const place = (run: PlacedRun, region: Region): PlacedPages[] => {
    const { address, pages, source, offset } = run;
    const pair = pairs.get(region);
    if (pair !== undefined && source !== undefined)
      return [{ pair, page: Number(address - region.start) / pageSize, pages, source, offset }];
    add(region, pages);
    return [];
  };
  return {
    placed: placedOf(memory, place, tell),
    alone: async (only) => {
      for (const region of memory.regions) {
        if (!pairs.has(region)) await compareShared(memory, memory, [region, undefined], (pages) => add(region, pages));
      }
      return [...alone].map(([region, bytes]) => ({ region, only, compared: bytes, changed: bytes }));
    },
  };
}

/** A process's own pages at the places that they are given; of those that are not in the archive it is told how many there are. */
export async function* placedOf(
  memory: ProcessMemory,
  place: (run: PlacedRun, region: Region) => Iterable<PlacedPages>,
  tell: Tell,
): AsyncGenerator<PlacedPages> {
  let elsewhere = 0;
  for await (const batch of placedRuns(memory)) {
    for (const run of batch) {
      if (run.content === "parent" || run.content === "lazy") elsewhere += run.pages;
      if (run.content === "present" && run.region !== undefined) yield* place(run, run.region);
    }
  }
  if (elsewhere > 0) tell(notCompared(memory.space.pid, elsewhere));
}

function notCompared(pid: number, pages: number): UserError {
  return new UserError({
    reason: "NotInArchive",
    message: `${pages} pages of process ${pid} were not compared: they are not in the archive`,
    why: "they are in an earlier checkpoint that this one builds on, or were left on the node",
  });
}
