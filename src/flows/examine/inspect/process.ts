import type { Archive } from "../../../archive/archive.ts";
import { commandLine, environment, type Words } from "../../../criu/arguments.ts";
import type { ControlGroup } from "../../../criu/cgroups.ts";
import type { Commons } from "../../../criu/commons.ts";
import type { Credentials, UserIds } from "../../../criu/credentials.ts";
import { filePath, type FileTable } from "../../../criu/files/table.ts";
import { memoryOf, type ProcessMemory } from "../../../criu/memory.ts";
import { NAMESPACE_TYPES, namespaceIds, outsideId, type IdRange, type Namespace } from "../../../criu/namespaces.ts";
import { hex, octal } from "../../../criu/numbers.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import type { Process } from "../../../criu/processes.ts";
import type { Absence } from "../../../criu/read.ts";
import { regionName } from "../../../criu/region-name.ts";
import { filterCount, type SeccompFilter } from "../../../criu/seccomp.ts";
import type { Thread } from "../../../criu/threads.ts";
import { memoryTotals, regionUses, type RegionUse } from "../../../criu/totals.ts";
import { UserError } from "../../../model/error.ts";
import type {
  CredentialsItem,
  MemoryItem,
  ProcessItem,
  RegionItem,
  ThreadItem,
  UserIdsItem,
  VariableItem,
} from "../../../model/inspection.ts";
import { say } from "../../../model/phrase.ts";
import type { Connections } from "./connections.ts";
import { fileItems, socketItems } from "./descriptors.ts";
import type { FileUses } from "./users.ts";

/** What the processes of an inspection have in common. */
export interface Setting {
  readonly archive: Archive;
  readonly commons: Commons;
  readonly table: FileTable;
  readonly pageSize: number | undefined;
  readonly namespaces: readonly Namespace[];
  readonly filters: readonly SeccompFilter[];
  readonly cgroups: ReadonlyMap<number, readonly ControlGroup[]>;
  /** Where files or sockets are asked for. */
  readonly connections: Connections | undefined;
  /** Takes what is run and mapped. */
  readonly uses: FileUses;
  readonly wants: (section: Section) => boolean;
  /** Takes what could not be read. */
  readonly tell: Tell;
}

/** Parts of an inspection; "totals" are those of memory, "memory" its map besides. */
export type Section = "ps" | "threads" | "env" | "files" | "sockets" | "mounts" | "totals" | "memory" | "ipc" | "changes" | "stats";

/** A process as documents have it, its children apart. What cannot be read of it goes to `tell`, and is left out. */
export async function processItem(process: Process, setting: Setting): Promise<Omit<ProcessItem, "children">> {
  const { archive, commons, pageSize, table, cgroups, connections, uses, wants, tell } = setting;
  const memory =
    pageSize === undefined ? undefined : await attempt(tell, async () => await memoryOf(archive, process, pageSize, tell, commons));
  if (memory !== undefined) uses.note(process.pid, memory);
  const { pid, ppid, pgid, sid, comm, state, exit, oomScoreAdjust, signals, timers, limits, subreaper, loginUid } = process;
  const { ids, cgroupSet, cwdId, rootId, umask } = process;
  const path = (id: number | undefined): string | undefined => (id === undefined ? undefined : filePath(table, id));
  const dumpable = memory?.space.dumpable;
  return {
    pid,
    ppid,
    pgid,
    sid,
    comm,
    state,
    ...(exit === undefined ? {} : "code" in exit ? { exitCode: exit.code } : { exitSignal: exit.signal }),
    args: memory && (await attempt(tell, async () => words(await commandLine(memory), "arguments", pid, setting))),
    executable: path(memory?.space.exeId),
    cwd: path(cwdId),
    root: path(rootId),
    umask: umask === undefined ? undefined : octal(umask),
    threads: threadItems(process, setting),
    oomScoreAdjust,
    signals,
    timers,
    subreaper,
    loginUid,
    dumpable: dumpable === undefined ? undefined : dumpable === 1,
    namespaces: ids && Object.fromEntries(named(namespaceIds(ids))),
    cgroups: cgroups.get(cgroupSet),
    limits,
    env: memory && wants("env") ? await attempt(tell, async () => await environmentOf(memory, setting)) : undefined,
    files: connections && wants("files") ? fileItems(pid, connections) : undefined,
    sockets: connections && wants("sockets") ? socketItems(process, connections) : undefined,
    memory: memory && wants("totals") ? await attempt(tell, async () => await memoryItem(memory, setting)) : undefined,
  };
}

function* named(ids: ReturnType<typeof namespaceIds>): Generator<[string, string]> {
  for (const type of NAMESPACE_TYPES) if (ids[type] !== 0) yield [type, String(ids[type])];
}

function threadItems({ threads, ids }: Process, { filters, namespaces }: Setting): ThreadItem[] {
  const users = namespaces.find(({ type, id }) => type === "user" && id === ids?.userNsId);
  // Threads nearly always have the same: it is made once.
  const made = new Map<Credentials, CredentialsItem>();
  return threads.map((thread) => threadItem(thread, filters, users, made));
}

function threadItem(
  { tid, comm, nice, scheduling, priority, seccomp, seccompFilter, parentDeathSignal, credentials }: Thread,
  filters: readonly SeccompFilter[],
  users: Namespace | undefined,
  made: Map<Credentials, CredentialsItem>,
): ThreadItem {
  const item = credentials && (made.get(credentials) ?? credentialsItem(credentials, users));
  if (credentials !== undefined && item !== undefined) made.set(credentials, item);
  return {
    tid,
    comm,
    nice,
    scheduling,
    priority,
    seccomp,
    ...(seccompFilter === undefined ? {} : { seccompFilters: filterCount(filters, seccompFilter), seccompFilter }),
    parentDeathSignal,
    credentials: item,
  };
}

function credentialsItem(credentials: Credentials, users: Namespace | undefined): CredentialsItem {
  return { ...credentials, uid: idsItem(credentials.uid, users?.uidMap), gid: idsItem(credentials.gid, users?.gidMap) };
}

function idsItem(ids: UserIds, map: readonly IdRange[] | undefined): UserIdsItem {
  return map === undefined ? ids : { ...ids, outside: outsideId(map, ids.effective) ?? null };
}

function words(found: Words, what: string, pid: number, { archive }: Setting): readonly string[] {
  const subject = say`the ${what} of process ${pid}`;
  if ("absent" in found) {
    throw new UserError({ reason: "NotInArchive", message: say`${subject} are not in the archive`, why: ELSEWHERE[found.absent] });
  }
  archive.budget.keep(
    `checkpoint/mm-${pid}.img`,
    found.words.length,
    found.words.reduce((sum, word) => sum + word.length, 0),
  );
  return found.words;
}

const ELSEWHERE: Readonly<Record<Absence, string>> = {
  unmapped: "nothing is mapped where they should be",
  untouched: "the process has never written there",
  file: "they lie in a mapped file",
  kernel: "they lie in the kernel's part of the address space",
  unknown: "where they are stands in the image of its mappings, which is missing",
  parent: "that memory is in an earlier checkpoint, which this one builds on: --previous FILE names it",
  lazy: "that memory was left on the node, to be sent when a restored process touches it",
  lost: "the image that describes that memory is missing",
};

async function environmentOf(memory: ProcessMemory, setting: Setting): Promise<VariableItem[]> {
  return words(await environment(memory), "variables", memory.space.pid, setting).map(variable);
}

function variable(word: string): VariableItem {
  const equals = word.indexOf("=");
  return equals < 0 ? { name: word } : { name: word.slice(0, equals), value: word.slice(equals + 1) };
}

async function memoryItem(memory: ProcessMemory, { archive, table, wants }: Setting): Promise<MemoryItem> {
  const uses = await regionUses(memory);
  if (wants("memory")) archive.budget.keep(`checkpoint/mm-${memory.space.pid}.img`, 2 * uses.length);
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
    ...(region.growsDown && region.kind !== "stack" ? { growsDown: true } : {}),
    ...(region.advice.length === 0 ? {} : { advice: region.advice }),
  };
}
