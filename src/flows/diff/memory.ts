import type { SharedPages } from "../../criu/commons.ts";
import { placedRuns, type ProcessMemory } from "../../criu/memory.ts";
import type { Tell } from "../../criu/problems.ts";
import type { Region } from "../../criu/regions.ts";
import { UserError } from "../../model/error.ts";
import { comparePages, type PlacedPages } from "./pages.ts";
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
  const counts = pairs.map(() => ({ compared: 0, changed: 0 }));
  const count = (pair: number, compared: number, changed: number): void => {
    const counted = counts[pair];
    if (counted === undefined) return;
    counted.compared += compared * pageSize;
    counted.changed += changed * pageSize;
  };
  const lone: RegionChange[] = [];
  const side = (memory: ProcessMemory, which: 0 | 1) => {
    const indices = new Map(pairs.map((pair, index) => [pair[which], index]));
    const alone = new Map<Region, number>();
    return { alone, placed: placedOf(memory, indices, alone, tell) };
  };
  const [left, right] = [side(from, 0), side(to, 1)];
  if (from.own !== undefined && to.own !== undefined) {
    await comparePages({ pages: from.own, placed: left.placed }, { pages: to.own, placed: right.placed }, pageSize, count);
  }
  for (const [index, [a, b]] of pairs.entries()) {
    if (a.shmid !== undefined && b.shmid !== undefined) await compareShared(from, to, [a, b], index, pageSize, count);
  }
  for (const [region, bytes] of left.alone) lone.push({ region, only: "from", compared: bytes, changed: bytes });
  for (const [region, bytes] of right.alone) lone.push({ region, only: "to", compared: bytes, changed: bytes });
  return [
    ...pairs.map(([region], index) => ({ region, compared: counts[index]?.compared ?? 0, changed: counts[index]?.changed ?? 0 })),
    ...lone,
  ];
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

async function compareShared(
  from: ProcessMemory,
  to: ProcessMemory,
  [a, b]: RegionPair,
  pair: number,
  pageSize: number,
  count: Parameters<typeof comparePages>[3],
): Promise<void> {
  const [before, after] = [await from.shared(a.shmid ?? 0n), await to.shared(b.shmid ?? 0n)];
  if (before === undefined || after === undefined) return;
  const placed = (pages: SharedPages, region: Region) => ({ pages, placed: sharedPlaces(pages, region, pair, pageSize) });
  await comparePages(placed(before, a), placed(after, b), pageSize, count);
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
