import type { PlacedRun, ProcessMemory } from "../../../criu/memory.ts";
import type { Tell } from "../../../criu/problems.ts";
import { regionAfter, regionAt, type AddressRange, type Region } from "../../../criu/regions.ts";
import { placedOf, type RegionChange } from "./memory.ts";
import { comparePages, type PlacedPages } from "./pages.ts";
import { compareShared } from "./shared.ts";

/**
 * Compares the memory of one process at two times, page by page at the same addresses: a region may have grown, been cut
 * or become one with its neighbour since. What is told is of the regions that there are now, and of those that are gone.
 * Throws a UserError where pages cannot be read.
 */
export async function compareByAddress(from: ProcessMemory, to: ProcessMemory, tell: Tell): Promise<RegionChange[]> {
  const { pageSize } = from;
  const [before, after] = [from.regions, to.regions];
  const sums = new Map<Region, RegionChange>();
  const count = (address: bigint, compared: number, changed: number): void => {
    const place = regionOf(address, before, after);
    if (place === undefined) return;
    const sum = sums.get(place.region) ?? { ...place, compared: 0, changed: 0 };
    sums.set(place.region, { ...sum, compared: sum.compared + compared * pageSize, changed: sum.changed + changed * pageSize });
  };
  const left = placedOf(from, cutAt(after, pageSize), tell);
  const right = placedOf(to, cutAt(before, pageSize), tell);
  await comparePages(left, right, pageSize, ({ page }, compared, changed) => count(BigInt(page) * BigInt(pageSize), compared, changed));
  for (const pair of alike(before.filter(isShared), after.filter(isShared))) {
    const start = (pair[0] ?? pair[1])?.start ?? 0n;
    await compareShared(from, to, pair, (compared, changed) => count(start, compared, changed));
  }
  return [...sums.values()];
}

/** The second one's region there, else what has become of the first one's, else that one. */
function regionOf(address: bigint, from: readonly Region[], to: readonly Region[]): Pick<RegionChange, "region" | "only"> | undefined {
  const before = regionAt(from, address);
  const after = regionAt(to, address) ?? (before && firstWithin(to, before));
  if (after !== undefined) return firstWithin(from, after) === undefined ? { region: after, only: "to" } : { region: after };
  return before && { region: before, only: "from" };
}

/** The first region that has an address in common with a range. */
function firstWithin(regions: readonly Region[], { start, end }: AddressRange): Region | undefined {
  const region = regions[regionAfter(regions, start)];
  return region !== undefined && region.start < end ? region : undefined;
}

/** Places pages by their address, cut wherever a region of the other side begins or ends. Runs are to come in order. */
function cutAt(others: readonly Region[], pageSize: number): (run: PlacedRun) => PlacedPages[] {
  const size = BigInt(pageSize);
  let at = 0;
  return ({ address, pages, source, offset }) => {
    if (source === undefined) return [];
    const pieces: PlacedPages[] = [];
    for (let done = 0; done < pages;) {
      const here = address + BigInt(done) * size;
      while (at < others.length && (others[at]?.end ?? 0n) <= here) at += 1;
      const next = others[at];
      const border = next === undefined || next.start > here ? next?.start : next.end;
      const room = border === undefined ? pages : Math.max(1, Number((border - here) / size));
      const part = Math.min(pages - done, room);
      pieces.push({ pair: 0, page: Number(here / size), pages: part, source, offset: offset + done * pageSize });
      done += part;
    }
    return pieces;
  };
}

function isShared({ kind }: Region): boolean {
  return kind === "shared";
}

/** The pieces of either side's regions, cut wherever one of them begins or ends: at each address what both have there. */
function* alike(from: readonly Region[], to: readonly Region[]): Generator<[Region | undefined, Region | undefined]> {
  let at = 0n;
  for (let [i, j] = [0, 0]; i < from.length || j < to.length;) {
    const [a, b] = [from[i], to[j]];
    const borders = [a, b].flatMap((region) => (region === undefined ? [] : at < region.start ? region.start : region.end));
    const end = borders.reduce((least, border) => (border < least ? border : least));
    const pair: [Region | undefined, Region | undefined] = [pieceOf(a, at, end), pieceOf(b, at, end)];
    if (pair.some((piece) => piece !== undefined)) yield pair;
    at = end;
    if (a?.end === end) i += 1;
    if (b?.end === end) j += 1;
  }
}

/** What a region has between two addresses, which lie both within it or both not. */
function pieceOf(region: Region | undefined, start: bigint, end: bigint): Region | undefined {
  if (region === undefined || end <= region.start || start >= region.end) return undefined;
  return { ...region, start, end, offset: region.offset + (start - region.start) };
}
