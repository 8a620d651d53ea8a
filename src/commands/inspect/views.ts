import type { InspectionRequest } from "../../flows/inspect/inspection.ts";
import type { Section } from "../../flows/inspect/process.ts";
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
  const views: [Section, string, () => Iterable<View>][] = [
    ["ps", "", () => processView(process)],
    ["env", "Environment", () => environmentView(process.env)],
    ["files", "Open files", () => filesView(process.files)],
    ["sockets", "Sockets", () => socketsView(process.sockets)],
    ["memory", "Memory", () => memoryView(process.memory)],
  ];
  const asked = views.filter(([section]) => sections.has(section));
  if (asked.length === 0) return;
  yield heading(say`Process ${process.pid}: ${command(process)}`);
  for (const [, title, view] of asked) {
    if (title !== "") yield say`\n${title} of process ${process.pid}:`;
    let empty = true;
    for (const part of view()) {
      empty = false;
      yield part;
    }
    if (empty) yield say`none`;
  }
}

function* environmentView(env: ProcessItem["env"]): Generator<Phrase> {
  const variables = Object.entries(env ?? {});
  for (const [name, value] of variables) yield say`${name}=${value}`;
  if (env !== undefined && variables.length === 0)
    yield say`empty: programs that set their own title write over it; copies can be in memory (search)`;
}

/** All processes of a forest, parents first. */
function* everyProcess(processes: readonly ProcessItem[]): Generator<ProcessItem> {
  for (const process of processes) {
    yield process;
    yield* everyProcess(process.children);
  }
}
