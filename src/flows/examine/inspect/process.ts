import type { Archive } from "../../../archive/archive.ts";
import { commandLine, environment, type Words } from "../../../criu/arguments.ts";
import { filePath, type FileTable } from "../../../criu/files/table.ts";
import type { Spend } from "../../../criu/limits.ts";
import type { Commons } from "../../../criu/commons.ts";
import { memoryOf, type ProcessMemory } from "../../../criu/memory.ts";
import { hex } from "../../../criu/numbers.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import type { Process } from "../../../criu/processes.ts";
import { regionName } from "../../../criu/region-name.ts";
import { memoryTotals, regionUses, type RegionUse } from "../../../criu/totals.ts";
import { UserError } from "../../../model/error.ts";
import type { MemoryItem, ProcessItem, RegionItem } from "../../../model/inspection.ts";
import type { Connections } from "./connections.ts";
import { fileItems, socketItems } from "./descriptors.ts";

/** What the processes of an inspection have in common. */
export interface Setting {
  readonly archive: Archive;
  readonly commons: Commons;
  readonly table: FileTable;
  readonly pageSize: number | undefined;
  /** Where files or sockets are asked for. */
  readonly connections: Connections | undefined;
  readonly wants: (section: Section) => boolean;
  readonly spend: Spend;
  /** Takes what could not be read. */
  readonly tell: Tell;
}

/** Parts of an inspection; "totals" are those of memory, "memory" its map besides. */
export type Section = "ps" | "env" | "files" | "sockets" | "mounts" | "totals" | "memory" | "stats";

/** A process as documents have it, its children apart. What cannot be read of it is told and left out. */
export async function processItem(process: Process, setting: Setting): Promise<Omit<ProcessItem, "children">> {
  const { archive, commons, pageSize, table, wants, connections, tell } = setting;
  const memory = pageSize === undefined ? undefined : await attempt(tell, async () => await memoryOf(archive, process, pageSize, commons));
  const { pid, ppid, pgid, sid, comm, state, exit, threads, oomScoreAdjust, signals, timers, limits, cwdId, rootId, umask } = process;
  const path = (id: number | undefined): string | undefined => (id === undefined ? undefined : filePath(table, id));
  return {
    pid,
    ppid,
    pgid,
    sid,
    comm,
    state,
    ...(exit === undefined ? {} : "code" in exit ? { exitCode: exit.code } : { exitSignal: exit.signal }),
    args: memory && (await attempt(tell, async () => words(await commandLine(memory), `arguments of process ${pid}`, setting))),
    executable: path(memory?.space.exeId),
    cwd: path(cwdId),
    root: path(rootId),
    umask: umask === undefined ? undefined : octal(umask),
    threads: threads.map(({ tid, comm, nice, seccomp, credentials }) => ({ tid, comm, nice, seccomp, credentials })),
    oomScoreAdjust,
    signals,
    timers,
    limits,
    env: memory && wants("env") ? await attempt(tell, async () => await environmentOf(memory, setting)) : undefined,
    files: connections && wants("files") ? fileItems(pid, connections) : undefined,
    sockets: connections && wants("sockets") ? await attempt(tell, async () => await socketItems(archive, pid, connections)) : undefined,
    memory: memory && wants("totals") ? await attempt(tell, async () => await memoryItem(memory, setting)) : undefined,
  };
}

/** Permissions as chmod takes them. */
export function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8).padStart(3, "0")}`;
}

function words(found: Words, what: string, { spend }: Setting): readonly string[] {
  if ("absent" in found) {
    throw new UserError({ reason: "NotInArchive", message: `the ${what} are not in the archive`, why: ELSEWHERE[found.absent] });
  }
  spend(
    what,
    found.words.length,
    found.words.reduce((sum, word) => sum + word.length, 0),
  );
  return found.words;
}

const ELSEWHERE = {
  unmapped: "nothing is mapped where they should be",
  untouched: "the process has never written there",
  file: "they lie in a mapped file",
  kernel: "they lie in the kernel's part of the address space",
  parent: "that memory is in an earlier checkpoint, which this one builds on",
  lazy: "that memory was left on the node, to be sent when a restored process touches it",
  lost: "the image that tells of that memory is missing",
} as const;

/** By name; of a name that is there twice the first, as getenv(3) finds it. */
async function environmentOf(memory: ProcessMemory, setting: Setting): Promise<Record<string, string>> {
  const values = new Map<string, string>();
  for (const word of words(await environment(memory), `environment of process ${memory.space.pid}`, setting)) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (!values.has(name)) values.set(name, equals < 0 ? "" : word.slice(equals + 1));
  }
  return Object.fromEntries(values);
}

async function memoryItem(memory: ProcessMemory, { table, spend, wants }: Setting): Promise<MemoryItem> {
  const uses = await regionUses(memory);
  if (wants("memory")) spend(`checkpoint/mm-${memory.space.pid}.img`, uses.length, 0);
  const { kinds, all } = memoryTotals(uses);
  return {
    mappedBytes: all.mapped,
    archivedBytes: all.archived,
    elsewhereBytes: all.elsewhere,
    kinds: [...kinds].map(([kind, { regions, mapped, archived }]) => ({ kind, regions, mappedBytes: mapped, archivedBytes: archived })),
    regions: wants("memory") ? uses.map((use) => regionItem(use, table)) : undefined,
  };
}

function regionItem({ region, archived }: RegionUse, table: FileTable): RegionItem {
  return {
    start: hex(region.start),
    end: hex(region.end),
    kind: region.kind,
    access: region.access,
    name: regionName(region, table),
    offset: Number(region.offset),
    mappedBytes: Number(region.end - region.start),
    archivedBytes: archived,
  };
}
