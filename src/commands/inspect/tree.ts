import type { ProcessItem } from "../../model/inspection.ts";
import { say, type Phrase, type PhraseValue, type Table } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";

/** The forest of processes as ps --forest draws it. */
export function treeView(processes: readonly ProcessItem[]): Table {
  return { columns: ["PID", "THREADS", "MEMORY", "COMMAND"], rows: [...rows(processes, "", true)] };
}

function* rows(processes: readonly ProcessItem[], indent: string, top: boolean): Generator<PhraseValue[]> {
  for (const [index, process] of processes.entries()) {
    const last = index === processes.length - 1;
    const memory = process.memory === undefined ? "-" : formatBytes(process.memory.archivedBytes);
    const branch = top ? "" : last ? "└─ " : "├─ ";
    yield [process.pid, process.threads.length || "-", memory, say`${indent}${branch}${command(process)}`];
    yield* rows(process.children, top ? "" : indent + (last ? "   " : "│  "), false);
  }
}

/** Longer command lines are cut: a Java program's can fill a screen. */
const LONGEST = 1000;

/** A process's command line; its name besides where it goes by another. */
export function command({ args, comm, state, exitCode, exitSignal }: ProcessItem): Phrase {
  if (state === "zombie")
    return say`[${comm}] zombie, ended with ${exitSignal === undefined ? `status ${exitCode}` : `signal ${exitSignal}`}`;
  if (args === undefined || args.length === 0) return say`[${comm || "?"}]${state === "stopped" ? " stopped" : ""}`;
  const line = args.join(" ");
  const shown = line.length > LONGEST ? say`${line.slice(0, LONGEST)}… (${line.length - LONGEST} more characters)` : say`${line}`;
  return say`${shown}${goesBy(args[0] ?? "", comm) ? "" : say` (${comm})`}${state === "stopped" ? " stopped" : ""}`;
}

/** Whether a program's name is what anyone would expect of its first argument. */
function goesBy(first: string, comm: string): boolean {
  const name = first.replace(/^-/, "").split("/").at(-1) ?? "";
  return name.startsWith(comm) || name.split(/[\s:]/, 1)[0] === comm;
}
