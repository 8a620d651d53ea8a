import type { Region } from "../../../criu/regions.ts";

/** Regions of two address spaces that are one another's counterpart, ascending in both. */
export type RegionPair = readonly [from: Region, to: Region];

/** Beyond so many possible pairs regions are matched one after the other, which finds fewer. */
const MOST_POSSIBLE = 4_000_000;

/**
 * Pairs regions that are called the same, as many as can be with both in order: addresses say nothing where the kernel
 * gave another process others.
 */
export function pairByName(from: readonly Region[], to: readonly Region[], name: (region: Region, side: 0 | 1) => string): RegionPair[] {
  const ids = new Map<string, number>();
  const before = idsOf(from, (region) => name(region, 0), ids);
  const after = idsOf(to, (region) => name(region, 1), ids);
  if (from.length * to.length > MOST_POSSIBLE) return pairInOrder(from, to, before, after);
  // The longest common subsequence: lengths[i][j] is that of what is left from i and j on.
  const width = to.length + 1;
  const lengths = new Uint32Array((from.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = from.length - 1; i >= 0; i -= 1) {
    for (let j = to.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: RegionPair[] = [];
  for (let i = 0, j = 0; i < from.length && j < to.length;) {
    const [a, b] = [from[i], to[j]];
    if (a !== undefined && b !== undefined && before[i] === after[j]) {
      pairs.push([a, b]);
      i += 1;
      j += 1;
    } else if (at(i + 1, j) >= at(i, j + 1)) i += 1;
    else j += 1;
  }
  return pairs;
}

/** A number for what each region is called: the same for the same. */
function idsOf(regions: readonly Region[], name: (region: Region) => string, ids: Map<string, number>): Uint32Array {
  return Uint32Array.from(regions, (region) => {
    const called = `${region.kind} ${region.access} ${name(region)}`;
    const id = ids.get(called) ?? ids.size;
    ids.set(called, id);
    return id;
  });
}

function pairInOrder(from: readonly Region[], to: readonly Region[], before: Uint32Array, after: Uint32Array): RegionPair[] {
  const pairs: RegionPair[] = [];
  for (let i = 0, j = 0; i < from.length && j < to.length; i += 1) {
    const [a, b] = [from[i], to[j]];
    if (a === undefined || b === undefined || before[i] !== after[j]) continue;
    pairs.push([a, b]);
    j += 1;
  }
  return pairs;
}
