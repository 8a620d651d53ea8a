import type { Changes } from "../../../model/difference.ts";

export const NO_CHANGES = { added: [], removed: [], changed: [] } as const;

/** What differs between two sets of things that have keys. */
export function changesOf<K, T>(from: ReadonlyMap<K, T>, to: ReadonlyMap<K, T>, same: (a: T, b: T) => boolean): Changes<T> {
  const changed: { from: T; to: T }[] = [];
  const removed: T[] = [];
  for (const [key, before] of from) {
    const after = to.get(key);
    if (after === undefined) removed.push(before);
    else if (!same(before, after)) changed.push({ from: before, to: after });
  }
  return { added: [...to].filter(([key]) => !from.has(key)).map(([, thing]) => thing), removed, changed };
}

export function isEmpty({ added, removed, changed }: Changes<unknown>): boolean {
  return added.length === 0 && removed.length === 0 && changed.length === 0;
}

/** Whether two values of documents are the same. */
export function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
