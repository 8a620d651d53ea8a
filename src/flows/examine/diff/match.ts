import type { ProcessItem } from "../../../model/inspection.ts";

/** Processes of two archives, those that are one another's counterpart together. */
export interface Matched {
  readonly pairs: readonly (readonly [from: ProcessItem, to: ProcessItem])[];
  readonly removed: readonly ProcessItem[];
  readonly added: readonly ProcessItem[];
}

/** Of two checkpoints of one container: by pid. */
export function matchByPid(from: readonly ProcessItem[], to: readonly ProcessItem[]): Matched {
  const after = new Map(everyProcess(to).map((process) => [process.pid, process]));
  const pairs: [ProcessItem, ProcessItem][] = [];
  const removed: ProcessItem[] = [];
  for (const process of everyProcess(from)) {
    const counterpart = after.get(process.pid);
    if (counterpart === undefined) removed.push(process);
    else pairs.push([process, counterpart]);
    after.delete(process.pid);
  }
  return { pairs, removed, added: [...after.values()] };
}

/**
 * Of two containers: by where they are in the tree, what they are called and what their arguments are, the first with the first; by pid
 * where what one of them is called is not known.
 */
export function matchByTree(from: readonly ProcessItem[], to: readonly ProcessItem[]): Matched {
  const pairs: [ProcessItem, ProcessItem][] = [];
  const added = new Set(everyProcess(to));
  const removed = new Set(everyProcess(from));
  const level = (before: readonly ProcessItem[], after: readonly ProcessItem[]): void => {
    for (const key of [(process: ProcessItem) => JSON.stringify([process.comm, process.args]), ({ comm }: ProcessItem) => comm]) {
      const left = Map.groupBy(after.filter((process) => added.has(process)).toReversed(), key);
      for (const process of before) {
        const counterpart = removed.has(process) ? left.get(key(process))?.pop() : undefined;
        if (counterpart === undefined) continue;
        pairs.push([process, counterpart]);
        removed.delete(process);
        added.delete(counterpart);
        level(process.children, counterpart.children);
      }
    }
  };
  level(from, to);
  const byPid = new Map([...added].map((process) => [process.pid, process]));
  for (const process of removed) {
    const counterpart = byPid.get(process.pid);
    if (counterpart === undefined || (process.comm !== "" && counterpart.comm !== "")) continue;
    pairs.push([process, counterpart]);
    removed.delete(process);
    added.delete(counterpart);
  }
  return { pairs, removed: [...removed], added: [...added] };
}

function everyProcess(processes: readonly ProcessItem[]): ProcessItem[] {
  return processes.flatMap((process) => [process, ...everyProcess(process.children)]);
}
