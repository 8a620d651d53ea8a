import type { InterruptedThread } from "../../model/documents.ts";
import { joined, say, type Phrase } from "../../model/phrase.ts";
import { counted } from "../../model/units.ts";

/** Threads that are named. */
const NAMED = 5;

/** Of at least one thread whose system call the checkpoint interrupted. */
export function interruptedText(threads: readonly InterruptedThread[]): Phrase {
  const named = threads.slice(0, NAMED).map(({ tid, comm, call }) => say`${call ?? "a call"} of thread ${tid} (${comm})`);
  const more = threads.length > NAMED ? say` and of ${counted(threads.length - NAMED, "more thread")}` : say``;
  return say`system calls that the checkpoint interrupted: ${joined(named, ", ")}${more}`;
}
