import { ageOf, type ListedArchive } from "./archive.ts";
import { maybeWritten } from "./remove.ts";

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

/** Within a second, by the time in the name. */
function newestFirst(now: number): (a: ListedArchive, b: ListedArchive) => number {
  return (a, b) => {
    const [ageOfA, ageOfB] = [ageOf(a, now) ?? 0, ageOf(b, now) ?? 0];
    if (ageOfA !== ageOfB) return ageOfA - ageOfB;
    return a.file.name < b.file.name ? 1 : -1;
  };
}
