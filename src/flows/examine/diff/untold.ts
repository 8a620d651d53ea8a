import { UserError } from "../../../model/error.ts";
import type { ProcessItem } from "../../../model/inspection.ts";

/** Takes what an archive does not tell of a process, and the other may: it is not compared. */
export type Untold = (process: ProcessItem, what: string) => void;

/** Of one archive: what it does not tell, by process, and at the end a problem for all processes that lack the same. */
export function untold(path: string): { note: Untold; problems(): UserError[] } {
  const lacking = new Map<number, Set<string>>();
  return {
    note({ pid }, what) {
      const all = lacking.get(pid) ?? new Set();
      lacking.set(pid, all.add(what));
    },
    problems: () =>
      [...Map.groupBy(lacking, ([, what]) => [...what].join(", "))].map(([what, processes]) =>
        notCompared(
          what,
          processes.map(([pid]) => pid),
          path,
        ),
      ),
  };
}

const MOST_PIDS = 5;

function notCompared(what: string, pids: readonly number[], path: string): UserError {
  const more = pids.length > MOST_PIDS ? ` and ${pids.length - MOST_PIDS} more` : "";
  const which = `process${pids.length > 1 ? "es" : ""} ${pids.slice(0, MOST_PIDS).join(", ")}${more}`;
  return new UserError({ reason: "NotInArchive", message: `not compared of ${which}: ${what}, which ${path} does not tell` });
}
