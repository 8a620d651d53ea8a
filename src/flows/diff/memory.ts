import type { SharedPages } from "../../criu/commons.ts";
import { placedRuns, type ProcessMemory } from "../../criu/memory.ts";
import type { Tell } from "../../criu/problems.ts";
import type { Region } from "../../criu/regions.ts";
import { UserError } from "../../model/error.ts";
import { comparePages, type Count, type PlacedPages, type Side } from "./pages.ts";
import type { RegionPair } from "./regions.ts";

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
  const count: Count = (pair, compared, changed) => {
    const counted = counts[pair];
    if (counted === undefined) return;
    counted.compared += compared * pageSize;
    counted.changed += changed * pageSize;
  };
  const left = sideOf(from, new Map(pairs.map(([region], index) => [region, index])), tell);
  const right = sideOf(to, new Map(pairs.map(([, region], index) => [region, index])), tell);
  await comparePages(left, right, pageSize, count);
  for (const [index, pair] of pairs.entries()) await compareShared(from, to, pair, index, count);
  return [...counts, ...(await left.alone("from")), ...(await right.alone("to"))];
}

interface OwnSide extends Side {
  /** After the comparison: the regions without a counterpart, with what the archive holds of them. */
  alone(only: "from" | "to"): Promise<RegionChange[]>;
}

function sideOf(memory: ProcessMemory, pairs: ReadonlyMap<Region, number>, tell: Tell): OwnSide {
  const alone = new Map<Region, number>();
  return {
    pages: memory.own,
    placed: placedOf(memory, pairs, alone, tell),
    alone: async (only) => {
      for (const region of memory.space.regions) {
        const pages = pairs.has(region) || region.shmid === undefined ? undefined : await memory.shared(region.shmid);
        for await (const { pages: count } of pages === undefined ? [] : sharedPlaces(pages, region, 0, memory.pageSize)) {
          alone.set(region, (alone.get(region) ?? 0) + count * memory.pageSize);
        }
      }
      return [...alone].map(([region, bytes]) => ({ region, only, compared: bytes, changed: bytes }));
    },
  };
}

/** A process's own pages by their place in a pair; what is in no pair is added up in `alone`. */
async function* placedOf(
  memory: ProcessMemory,
  pairs: ReadonlyMap<Region, number>,
  alone: Map<Region, number>,
  tell: Tell,
): AsyncGenerator<PlacedPages> {
  const { pageSize, space } = memory;
  let elsewhere = 0;
  for await (const batch of placedRuns(memory)) {
    for (const { region, content, address, pages, firstPage } of batch) {
      if (content === "parent" || content === "lazy") elsewhere += pages;
      if (content !== "present" || region === undefined) continue;
      const pair = pairs.get(region);
      if (pair === undefined) alone.set(region, (alone.get(region) ?? 0) + pages * pageSize);
      else yield { pair, page: Number(address - region.start) / pageSize, pages, firstPage };
    }
  }
  if (elsewhere > 0) tell(notCompared(space.pid, elsewhere));
}

/** Compares what a pair of regions maps of shared memory, where they are such. */
async function compareShared(from: ProcessMemory, to: ProcessMemory, [a, b]: RegionPair, pair: number, count: Count): Promise<void> {
  const before = a.shmid === undefined ? undefined : await from.shared(a.shmid);
  const after = b.shmid === undefined ? undefined : await to.shared(b.shmid);
  const { pageSize } = from;
  if (before !== undefined && after !== undefined) {
    const [left, right] = [sharedPlaces(before, a, pair, pageSize), sharedPlaces(after, b, pair, pageSize)];
    await comparePages({ pages: before, placed: left }, { pages: after, placed: right }, pageSize, count);
    return;
  }
  for (const [pages, region] of [
    [before, a],
    [after, b],
  ] as const) {
    if (pages === undefined) continue;
    for await (const { pages: alone } of sharedPlaces(pages, region, pair, pageSize)) count(pair, alone, alone);
  }
}

async function* sharedPlaces(
  shared: SharedPages,
  { offset, start, end }: Region,
  pair: number,
  pageSize: number,
): AsyncGenerator<PlacedPages> {
  const limit = Number((end - start) / BigInt(pageSize));
  for (const { address, pages, content, firstPage } of shared.after(offset, pageSize)) {
    const page = Number(address - offset) / pageSize;
    if (page >= limit) return;
    const skipped = Math.max(0, -page);
    const left = Math.min(pages, limit - page) - skipped;
    if (content === "present" && left > 0) yield { pair, page: page + skipped, pages: left, firstPage: firstPage + skipped };
  }
}

function notCompared(pid: number, pages: number): UserError {
  return new UserError({
    reason: "NotInArchive",
    message: `${pages} pages of process ${pid} were not compared: they are not in the archive`,
    why: "they are in an earlier checkpoint that this one builds on, or were left on the node",
  });
}
