import { ageOf, type ListedArchive } from "./archive.ts";
import { maybeWritten } from "./remove.ts";

/** Clocks that differ by less are taken for right. */
const CLOCKS_AGREE_MS = 600_000;

/** What stays. */
export interface Retention {
  /** So many of each container, the newest; undefined: no number keeps any. */
  readonly keep: number | undefined;
  /** What is younger, in milliseconds; undefined: no age keeps any. */
  readonly olderThanMs: number | undefined;
}

/**
 * Those that go: of each container, those that are not among its newest and are old enough. Never one whose container is not
 * certain, one whose age is not known where that matters, or one that may still be being written; such a one does not count among
 * those that are kept either.
 */
export function toPrune(archives: readonly ListedArchive[], { keep, olderThanMs }: Retention, now: number): ListedArchive[] {
  const certain = archives.filter((one) => one.container !== undefined && one.namespace !== undefined);
  const groups = Map.groupBy(
    certain.filter((one) => !maybeWritten(one, now)),
    ({ namespace, pod, container }) => `${namespace}/${pod}/${container}`,
  );
  return [...groups.values()].flatMap((group) => {
    // A leftover of a failed checkpoint is not worth keeping in the place of a whole one.
    const [whole, broken] = [group.filter(({ complete }) => complete), group.filter(({ complete }) => !complete)];
    const beyond = [...(keep === undefined ? whole : whole.sort(newestFirst(now)).slice(keep)), ...broken];
    return beyond.filter((one) => olderThanMs === undefined || (ageOf(one, now) ?? -Infinity) >= olderThanMs);
  });
}

/** Why archives stay, by how many. */
export type Kept = ReadonlyMap<"newest" | "young" | "written" | "unknown", number>;

/** Of those that do not go. */
export function whyKept(archives: readonly ListedArchive[], going: readonly ListedArchive[], { keep }: Retention, now: number): Kept {
  const goes = new Set(going);
  const staying = archives.filter((one) => !goes.has(one));
  // What would go if there were no age to look at, stays because of its age.
  const old = new Set(toPrune(archives, { keep, olderThanMs: undefined }, now));
  const counts = new Map<"newest" | "young" | "written" | "unknown", number>();
  for (const one of staying) {
    const isUnknown = one.container === undefined || one.namespace === undefined;
    const why = isUnknown ? "unknown" : maybeWritten(one, now) ? "written" : old.has(one) ? "young" : "newest";
    counts.set(why, (counts.get(why) ?? 0) + 1);
  }
  return counts;
}

/** Within a second, by the time in the name; so that a plan that is made again is the same one. */
function newestFirst(now: number): (a: ListedArchive, b: ListedArchive) => number {
  return (a, b) => {
    const [ofA, ofB] = [writtenAt(a, now), writtenAt(b, now)];
    if (ofA !== ofB) return ofA > ofB ? -1 : 1;
    if (a.file.name !== b.file.name) return a.file.name < b.file.name ? 1 : -1;
    return a.node < b.node ? -1 : 1;
  };
}

/** Milliseconds by our clock, as far as the node's is wrong at all: ages are of when each node was asked, and order nothing within seconds. */
function writtenAt({ file: { age, modifiedAt } }: ListedArchive, now: number): number {
  if (modifiedAt === undefined) return Infinity;
  const ahead = age === undefined ? 0 : (modifiedAt + age) * 1000 - now;
  return modifiedAt * 1000 - Math.round(ahead / CLOCKS_AGREE_MS) * CLOCKS_AGREE_MS;
}
