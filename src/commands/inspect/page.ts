import type { InspectionRequest } from "../../flows/examine/inspect/inspection.ts";
import type { Section } from "../../flows/examine/inspect/process.ts";
import type { Inspection, ProcessItem } from "../../model/inspection.ts";
import { joined, say, styled, type Phrase, type PhraseValue, type Table } from "../../model/phrase.ts";
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
  for (const process of everyProcess(inspection.processes)) yield* processViews(process, sections);
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

function* processViews(process: ProcessItem, sections: ReadonlySet<Section>): Generator<View> {
  const { env, files, sockets, memory } = process;
  const asked = [...SECTIONS].filter(([section]) => sections.has(section));
  if (asked.length > 0 || sections.has("ps") || sections.has("threads")) yield heading(say`Process ${process.pid}: ${command(process)}`);
  if (sections.has("ps")) yield* processView(process);
  if (sections.has("threads")) yield* threadsView(process);
  const views = {
    env: env && environmentView(env),
    files: files && filesView(files),
    sockets: sockets && socketsView(sockets),
    memory: memory && memoryView(memory),
  };
  for (const [section, title] of asked) {
    yield say`\n${title} of process ${process.pid}:`;
    // What is missing was reported as an error, except for zombies, which have nothing.
    yield* views[section] ?? [process.state === "zombie" ? say`none` : say`not in the archive, or not readable`];
  }
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
  yield joined(
    [
      say`image ${image ?? "unknown"}`,
      ...(checkpointedAt === undefined ? [] : [say`checkpointed ${checkpointedAt.replace(/\.\d+Z$/, "Z")}`]),
      say`by ${engine ?? "an unknown engine"}${criu.version === undefined ? "" : ` with CRIU ${criu.version}`}`,
    ],
    ", ",
  );
  const all = processes.flatMap(flat);
  const threads = all.reduce((sum, process) => sum + process.threads.length, 0);
  const frozen = stats?.frozenSeconds;
  yield joined(
    [
      ...(whole ? [counted(all.length, "process", "es"), counted(threads, "thread")] : []),
      `${formatBytes(memoryBytes)} of memory in the archive`,
      ...(frozen === undefined ? [] : [`frozen by CRIU for ${frozen < 1 ? `${Math.round(frozen * 1000)}ms` : formatSeconds(frozen)}`]),
      [criu.architecture, criu.pageSize === undefined ? undefined : `${criu.pageSize / 1024} KiB pages`].filter(Boolean).join(", "),
    ],
    ", ",
  );
  const { interrupted = [] } = inspection;
  if (interrupted.length > 0) yield interruptedText(interrupted);
}

function flat(process: ProcessItem): ProcessItem[] {
  return [process, ...process.children.flatMap(flat)];
}

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

/** A process's command line, with its name where that differs. */
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
