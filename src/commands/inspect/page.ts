import type { InspectionRequest } from "../../flows/examine/inspect/inspection.ts";
import type { Section } from "../../flows/examine/inspect/process.ts";
import type { Inspection, ProcessItem } from "../../model/inspection.ts";
import { hanging, joined, oneLine, plain, say, styled, type Phrase, type PhraseValue, type Table } from "../../model/phrase.ts";
import { counted, formatBytes, formatSeconds } from "../../model/units.ts";
import { interruptedText } from "../shared/interrupted.ts";
import { changesView } from "./changes.ts";
import { filesViews, ipcView, locksView, mountsView, namespacesView, networksView, seccompView, statsView } from "./container.ts";
import { filesView, socketsView } from "./descriptors.ts";
import { environmentView, memoryView, processView } from "./process.ts";
import { deadlocksView, threadsView } from "./threads.ts";
import { heading, type View } from "./view.ts";

/** What people see of an inspection: the container, its process tree, then the sections that were asked for. */
export function* inspectionPage(inspection: Inspection, { sections, pid }: InspectionRequest): Generator<View> {
  yield* headView(inspection, pid === undefined);
  yield say``;
  yield treeView(inspection.processes);
  if (sections.has("threads")) yield* deadlocksView(inspection.deadlocks);
  yield* processesViews([...everyProcess(inspection.processes)], sections);
  if (sections.has("ps")) {
    yield* namespacesView(inspection.namespaces);
    yield* networksView(inspection.networks);
    yield* seccompView(inspection.seccompFilters);
  }
  if (sections.has("files")) {
    yield* filesViews(inspection);
    yield* locksView(inspection.locks);
  }
  if (sections.has("ipc") && pid === undefined) yield* ipcView(inspection.ipc);
  if (sections.has("changes") && pid === undefined) yield* changesView(inspection.changes);
  if (sections.has("mounts")) yield* mountsView(inspection.mounts);
  if (sections.has("stats")) yield* statsView(inspection.stats);
}

/** What was asked for of each process. Processes that have nothing of a section share one line for it. */
function* processesViews(processes: readonly ProcessItem[], sections: ReadonlySet<Section>): Generator<View> {
  const asked = SECTIONS.filter(([section]) => sections.has(section));
  const empty = new Map<string, number[]>();
  const ofAll = sections.has("ps") || sections.has("threads");
  for (const process of processes) {
    const some = asked.filter(([section, sectionTitle]) => {
      const what = contentOf(process, section);
      if (what === "some") return true;
      const line = what === "none" ? `${sectionTitle}: none` : `${sectionTitle}: not in the archive, or not readable`;
      empty.set(line, [...(empty.get(line) ?? []), process.pid]);
      return false;
    });
    if (some.length === 0 && !ofAll) continue;
    yield heading(say`Process ${process.pid}: ${title(process)}`);
    if (sections.has("ps")) yield* processView(process);
    if (sections.has("threads")) yield* threadsView(process);
    for (const [section, sectionTitle] of some) {
      if (asked.length > 1 || ofAll) yield say`\n${sectionTitle} of process ${process.pid}:`;
      yield* sectionViews(process, section);
    }
  }
  if (empty.size > 0) yield say``;
  for (const [line, pids] of empty) {
    const all = pids.length === processes.length && pids.length > 1;
    yield oneLine(
      say`${line} (${all ? `all ${pids.length} processes` : `${pids.length > 1 ? "processes" : "process"} ${pids.join(", ")}`})`,
    );
  }
}

type OfProcess = (typeof SECTIONS)[number][0];

/** What is missing was reported as an error, except for zombies, which have nothing. */
function contentOf(process: ProcessItem, section: OfProcess): "some" | "none" | "unknown" {
  const { [section]: content, state } = process;
  if (content === undefined) return state === "zombie" ? "none" : "unknown";
  // Of an empty environment the section says why it is.
  return section !== "env" && Array.isArray(content) && content.length === 0 ? "none" : "some";
}

function* sectionViews({ env, files, sockets, memory }: ProcessItem, section: OfProcess): Generator<View> {
  if (section === "env" && env !== undefined) yield* environmentView(env);
  if (section === "files" && files !== undefined) yield* filesView(files);
  if (section === "sockets" && sockets !== undefined) yield* socketsView(sockets);
  if (section === "memory" && memory !== undefined) yield* memoryView(memory);
}

const SECTIONS = [
  ["env", "Environment"],
  ["files", "Open files"],
  ["sockets", "Sockets"],
  ["memory", "Memory"],
] as const;

/** All processes of a forest, parents first. */
function* everyProcess(processes: readonly ProcessItem[]): Generator<ProcessItem> {
  for (const process of processes) {
    yield process;
    yield* everyProcess(process.children);
  }
}

/** What was checkpointed, by which engine, and how much; `whole`: all processes are shown. */
export function* headView(inspection: Inspection, whole: boolean): Generator<Phrase> {
  const { container, image, checkpointedAt, pod, namespace, engine, criu, stats, memoryBytes, processes } = inspection;
  const where = pod === undefined ? "" : say` in pod ${namespace ?? ""}/${pod}`;
  yield say`${styled("strong", container ?? "unnamed container")}${where}`;
  yield indented([
    say`image ${image ?? "unknown"}`,
    ...(checkpointedAt === undefined ? [] : [say`checkpointed ${checkpointedAt.replace(/\.\d+Z$/, "Z")}`]),
    say`by ${engine ?? "an unknown engine"}${criu.version === undefined ? "" : ` with CRIU ${criu.version}`}`,
  ]);
  const all = processes.flatMap(flat);
  const threads = all.reduce((sum, process) => sum + process.threads.length, 0);
  const frozen = stats?.frozenSeconds;
  yield indented([
    ...(whole ? [counted(all.length, "process", "es"), counted(threads, "thread")] : []),
    `${formatBytes(memoryBytes)} of memory in the archive`,
    ...(frozen === undefined ? [] : [`frozen by CRIU for ${frozen < 1 ? `${Math.round(frozen * 1000)}ms` : formatSeconds(frozen)}`]),
    [criu.architecture, criu.pageSize === undefined ? undefined : `${criu.pageSize / 1024} KiB pages`].filter(Boolean).join(", "),
  ]);
  const { interrupted = [] } = inspection;
  if (interrupted.length > 0) yield hanging(interruptedText(interrupted), 2);
}

function indented(parts: readonly PhraseValue[]): Phrase {
  return hanging(joined(parts, ", "), 2);
}

function flat(process: ProcessItem): ProcessItem[] {
  return [process, ...process.children.flatMap(flat)];
}

/** The forest of processes as ps --forest draws it. */
export function treeView(processes: readonly ProcessItem[]): Table {
  return {
    columns: ["PID", "THREADS", "MEMORY", "COMMAND"],
    rows: [...rows(processes, "", true)],
    narrow: { shorten: [{ COMMAND: "end" }] },
  };
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

/** The command line is in the tree: of a longer one a heading has the start. */
const LONGEST_TITLE = 80;

function title(process: ProcessItem): Phrase {
  const whole = plain(command(process));
  return whole.length <= LONGEST_TITLE ? say`${whole}` : say`${whole.slice(0, LONGEST_TITLE)}…`;
}

/** A process's command line, with its name where that differs. */
export function command({ args, comm, state, exitCode, exitSignal }: ProcessItem): Phrase {
  if (state === "zombie")
    return say`[${comm}] zombie, ended with ${exitSignal === undefined ? `status ${exitCode}` : `signal ${exitSignal}`}`;
  if (args === undefined || args.length === 0) return say`[${comm || "?"}]${state === "stopped" ? " stopped" : ""}`;
  return say`${args.join(" ")}${goesBy(args[0] ?? "", comm) ? "" : say` (${comm})`}${state === "stopped" ? " stopped" : ""}`;
}

/** Whether a program's name is what anyone would expect of its first argument. */
function goesBy(first: string, comm: string): boolean {
  const name = first.replace(/^-/, "").split("/").at(-1) ?? "";
  return name.startsWith(comm) || name.split(/[\s:]/, 1)[0] === comm;
}
