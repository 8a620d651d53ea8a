import type { Archive } from "../../archive/archive.ts";
import { commonsOf, type Commons } from "../../criu/commons.ts";
import { descriptors } from "../../criu/files/descriptors.ts";
import type { FileTable } from "../../criu/files/table.ts";
import { allowance, MAX_ANSWER_ITEMS } from "../../criu/limits.ts";
import { memoryOf, sharedPages, type ProcessMemory } from "../../criu/memory.ts";
import { pageSize } from "../../criu/pagesize.ts";
import { attempt, type Tell } from "../../criu/problems.ts";
import { noSuchProcess, processes, type Process } from "../../criu/processes.ts";
import { regionName } from "../../criu/region-name.ts";
import { regionAt, type Region } from "../../criu/regions.ts";
import type { PageRun } from "../../criu/runs.ts";
import type { Matcher } from "../../criu/search/matcher.ts";
import { Searcher, type Match } from "../../criu/search/search.ts";
import { pageStretches } from "../../criu/search/windows.ts";
import { UserError } from "../../model/error.ts";

export interface SearchSettings {
  readonly matcher: Matcher;
  /** Of the one process that is searched. */
  readonly pid: number | undefined;
  readonly around: number;
  readonly signal: AbortSignal;
  /** Told what is searched, and how many bytes of it were since the last time. */
  readonly progress: (process: Process, bytes: number) => void;
  /** Takes what could not be searched: the answer is not complete then. */
  readonly tell: Tell;
}

/** A match, and where in which process it is. */
export interface Found extends Match<Process> {
  readonly process: Process;
  readonly region: string;
  /** From the beginning of the region, in bytes. */
  readonly offset: bigint;
  /** False for shared memory that the process holds open, and has not mapped: its address counts from its beginning. */
  readonly mapped: boolean;
}

/**
 * Everything in the memory of the processes that the matcher finds: process by process, what it has of its own before
 * what it shares, which is found once in each. Throws a UserError where there is nothing to search.
 */
export async function* searchArchive(archive: Archive, settings: SearchSettings): AsyncGenerator<Found> {
  const { pid, tell } = settings;
  const all = await processes(archive, allowance(MAX_ANSWER_ITEMS), tell);
  const chosen = pid === undefined ? all : all.filter((process) => process.pid === pid);
  if (pid !== undefined && chosen.length === 0) throw noSuchProcess(pid, all);
  const size = await pageSize(archive);
  if (size === undefined) throw new UserError({ reason: "NotInArchive", message: "there is no memory in the archive" });
  const commons = commonsOf(archive);
  const table = (await attempt(tell, commons.files)) ?? { files: new Map(), remaps: new Map() };
  const mapped = new Set<bigint>();
  for (const process of chosen) {
    const memory = await attempt(tell, async () => await memoryOf(archive, process, size, commons));
    if (memory !== undefined) yield* told(tell, searchProcess(memory, process, table, mapped, settings));
  }
  const isUnmapped = [...table.files.values()].some(({ shmid }) => shmid !== undefined && !mapped.has(shmid));
  for (const process of isUnmapped ? firstOfEachTable(chosen) : [])
    yield* told(tell, searchUnmapped(archive, process, table, commons, mapped, size, settings));
}

/** Processes that share their descriptors have the same of them. */
function firstOfEachTable(processes: readonly Process[]): Iterable<Process> {
  const first = new Map<number, Process>();
  for (const process of processes) {
    const table = process.ids?.filesId;
    if (table !== undefined && !first.has(table)) first.set(table, process);
  }
  return first.values();
}

/** What an iterable yields before it throws a UserError, which is told. */
async function* told<T>(tell: Tell, values: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* values;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    tell(error);
  }
}

async function* searchProcess(
  memory: ProcessMemory,
  process: Process,
  table: FileTable,
  mapped: Set<bigint>,
  settings: SearchSettings,
): AsyncGenerator<Found> {
  const { regions, pid } = memory.space;
  const elsewhere = { pages: 0 };
  for await (const match of found(counted(memory.own.runs(), elsewhere), process, memory.pageSize, settings)) {
    const region = regionAt(regions, match.address);
    yield { ...match, process, region: place(region, table), offset: match.address - (region?.start ?? 0n), mapped: true };
  }
  const shared = Map.groupBy(
    regions.filter(({ kind }) => kind === "shared"),
    ({ shmid }) => shmid,
  );
  for (const [shmid, mappings] of shared) {
    if (shmid !== undefined) mapped.add(shmid);
    const [first] = mappings;
    const pages = first && (await attempt(settings.tell, async () => await sharedPages(memory, first)));
    if (pages === undefined) continue;
    for await (const match of found(counted(inBatches(pages.runs), elsewhere), process, memory.pageSize, settings)) {
      const region = mappings.find(({ offset, start, end }) => offset <= match.address && match.address < offset + end - start);
      const address = region === undefined ? match.address : region.start + match.address - region.offset;
      yield {
        ...match,
        process,
        address,
        region: place(region ?? mappings[0], table),
        offset: address - (region?.start ?? 0n),
        mapped: region !== undefined,
      };
    }
  }
  if (elsewhere.pages > 0) settings.tell(notHere(pid, elsewhere.pages));
}

/** Shared memory that a process holds by a descriptor only, and that no process has mapped. */
async function* searchUnmapped(
  archive: Archive,
  process: Process,
  { files }: FileTable,
  { shared }: Commons,
  mapped: Set<bigint>,
  size: number,
  settings: SearchSettings,
): AsyncGenerator<Found> {
  for (const { fileId } of process.ids === undefined ? [] : await descriptors(archive, process.ids.filesId)) {
    const file = files.get(fileId);
    if (file?.shmid === undefined || mapped.has(file.shmid)) continue;
    mapped.add(file.shmid);
    const pages = await shared(file.shmid, size);
    if (pages === undefined) continue;
    for await (const match of found(inBatches(pages.runs), process, size, settings)) {
      yield { ...match, process, region: file.name, offset: match.address, mapped: false };
    }
  }
}

async function* found(
  runs: AsyncIterable<readonly PageRun[]>,
  process: Process,
  size: number,
  { matcher, around, signal, progress }: SearchSettings,
): AsyncGenerator<Match<Process>> {
  yield* new Searcher<Process>(matcher, { around, signal, progress }).search(pageStretches(runs, size, () => process));
}

async function* inBatches(runs: readonly PageRun[]): AsyncGenerator<readonly PageRun[]> {
  yield runs;
}

/** The same runs; pages that are not in this archive are added up. */
async function* counted(runs: AsyncIterable<readonly PageRun[]>, elsewhere: { pages: number }): AsyncGenerator<readonly PageRun[]> {
  for await (const batch of runs) {
    for (const { content, pages } of batch) if (content === "parent" || content === "lazy") elsewhere.pages += pages;
    yield batch;
  }
}

/** "heap", "stack", "anonymous" or a path. */
function place(region: Region | undefined, table: FileTable): string {
  if (region === undefined) return "unmapped";
  return regionName(region, table).replace(/^\[(.*)\]$/, "$1") || region.kind;
}

function notHere(pid: number, pages: number): UserError {
  return new UserError({
    reason: "NotInArchive",
    message: `${pages} pages of process ${pid} were not searched: they are not in the archive`,
    why: "they are in an earlier checkpoint that this one builds on, or were left on the node",
  });
}
