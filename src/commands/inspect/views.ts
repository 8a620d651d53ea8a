import type { InspectionRequest } from "../../flows/examine/inspect/inspection.ts";
import type { Section } from "../../flows/examine/inspect/process.ts";
import type { Inspection, ProcessItem } from "../../model/inspection.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { filesView, deletedView } from "./files.ts";
import { headView } from "./head.ts";
import { memoryView } from "./memory.ts";
import { mountsView } from "./mounts.ts";
import { processView } from "./process.ts";
import { socketsView } from "./sockets.ts";
import { statsView } from "./stats.ts";
import { command, treeView } from "./tree.ts";
import { heading, type View } from "./view.ts";

/** What people see of an inspection: the container, its process tree, then the sections that were asked for. */
export function* inspectionViews(inspection: Inspection, { sections, pid }: InspectionRequest): Generator<View> {
  yield* headView(inspection, pid === undefined);
  yield say``;
  yield treeView(inspection.processes);
  for (const process of everyProcess(inspection.processes)) yield* processViews(process, sections);
  if (sections.has("files")) yield* deletedView(inspection.deletedFiles);
  if (sections.has("mounts")) yield* mountsView(inspection.mounts);
  if (sections.has("stats")) yield* statsView(inspection.stats);
}

function* processViews(process: ProcessItem, sections: ReadonlySet<Section>): Generator<View> {
  const { env, files, sockets, memory } = process;
  const asked = [...SECTIONS].filter(([section]) => sections.has(section));
  if (asked.length > 0 || sections.has("ps")) yield heading(say`Process ${process.pid}: ${command(process)}`);
  if (sections.has("ps")) yield* processView(process);
  const views = {
    env: env && environmentView(env),
    files: files && filesView(files),
    sockets: sockets && socketsView(sockets),
    memory: memory && memoryView(memory),
  };
  for (const [section, title] of asked) {
    yield say`\n${title} of process ${process.pid}:`;
    // What is not in the document was told as an error, but for zombies, which have nothing.
    yield* views[section] ?? [process.state === "zombie" ? say`none` : say`not in the archive, or not readable`];
  }
}

const SECTIONS = [
  ["env", "Environment"],
  ["files", "Open files"],
  ["sockets", "Sockets"],
  ["memory", "Memory"],
] as const;

function* environmentView(env: Readonly<Record<string, string>>): Generator<Phrase> {
  const variables = Object.entries(env);
  for (const [name, value] of variables) yield say`${name}=${value}`;
  if (variables.length === 0) yield say`empty: programs that set their own title write over it; copies can be in memory (search)`;
}

/** All processes of a forest, parents first. */
function* everyProcess(processes: readonly ProcessItem[]): Generator<ProcessItem> {
  for (const process of processes) {
    yield process;
    yield* everyProcess(process.children);
  }
}
