import type { Archive } from "../../../archive/archive.ts";
import type { VolumesBeside } from "../../../archive/volumes.ts";
import { commonsOf, type Commons } from "../../../criu/commons.ts";
import { Contents } from "../../../criu/contents.ts";
import { descriptors } from "../../../criu/files/descriptors.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { pageSize } from "../../../criu/pagesize.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import { noSuchProcess, processes, type Process } from "../../../criu/processes.ts";
import type { Matcher } from "../../../criu/search/matcher.ts";
import { Searcher, type Match } from "../../../criu/search/search.ts";
import type { Stretch } from "../../../criu/search/windows.ts";
import { UserError } from "../../../model/error.ts";
import type { Holder } from "../../../model/inspection.ts";
import { fileStretches } from "./files.ts";
import type { Location, Place, Scope } from "./location.ts";
import { memoryStretches } from "./memory.ts";
import { queueStretches } from "./queues.ts";

/** Of what searches and scans have in common. */
export interface SearchedSettings {
  /** Of the one process whose memory, files and queues are searched. */
  readonly pid: number | undefined;
  readonly signal: AbortSignal;
  /** Takes what could not be searched: the answer is not complete then. */
  readonly tell: Tell;
  /** What was copied with the archive. */
  readonly volumes?: VolumesBeside | undefined;
}

export interface SearchSettings extends SearchedSettings {
  readonly matcher: Matcher;
  readonly scopes: ReadonlySet<Scope>;
  readonly around: number;
  /** Takes what is searched, and how many bytes of it were since the last time. */
  readonly progress: (label: string, bytes: number) => void;
}

/** A match, and where it is. */
export interface Found extends Match<Place> {
  readonly location: Location;
}

/** What the parts of a search have in common. */
export interface Searched {
  readonly archive: Archive;
  readonly commons: Commons;
  readonly table: FileTable;
  /** All of the checkpoint, and those that are searched. */
  readonly all: readonly Process[];
  readonly chosen: readonly Process[];
  /** Whether only what one process has is searched. */
  readonly isOne: boolean;
  readonly pageSize: number | undefined;
  readonly contents: Contents;
  /** Shmids whose pages were searched as memory: each is enough once. */
  readonly done: Set<bigint>;
  /** By id of an open file; read when first asked for. */
  readonly holders: () => Promise<ReadonlyMap<number, readonly Holder[]>>;
  readonly signal: AbortSignal;
  readonly tell: Tell;
  readonly volumes: VolumesBeside | undefined;
}

const PARTS: Readonly<Record<Scope, (searched: Searched) => AsyncGenerator<Stretch<Place>>>> = {
  memory: memoryStretches,
  files: fileStretches,
  queues: queueStretches,
};

/**
 * Everything in an archive that the matcher finds: memory process by process, what each has of its own before what it shares, then files,
 * then queues. Throws a UserError where there is no such process.
 */
export async function* searchArchive(archive: Archive, settings: SearchSettings): AsyncGenerator<Found> {
  const { matcher, scopes, around, signal, progress, tell } = settings;
  await using searching = await withSearched(archive, settings);
  const { searched } = searching;
  const searcher = new Searcher<Place>(matcher, { around, signal, progress: ({ label }, bytes) => progress(label, bytes), skipped: tell });
  for (const [scope, stretches] of Object.entries(PARTS) as [Scope, (typeof PARTS)[Scope]][]) {
    if (!scopes.has(scope)) continue;
    try {
      for await (const match of searcher.search(stretches(searched))) yield { ...match, location: await match.place.locate(match.address) };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      tell(error);
    }
  }
}

/** What is searched of an archive; it holds open what is opened on the way. Throws a UserError where there is no such process. */
export async function withSearched(
  archive: Archive,
  { pid, signal, tell, volumes }: SearchedSettings,
): Promise<AsyncDisposable & { readonly searched: Searched }> {
  const all = (await attempt(tell, async () => await processes(archive, tell))) ?? [];
  const chosen = pid === undefined ? all : all.filter((process) => process.pid === pid);
  if (pid !== undefined && chosen.length === 0) throw noSuchProcess(pid, all);
  const commons = commonsOf(archive);
  const size = await attempt(tell, async () => await pageSize(archive));
  const contents = new Contents(archive, commons, size, signal);
  let holders: Promise<ReadonlyMap<number, readonly Holder[]>> | undefined;
  const searched: Searched = {
    archive,
    commons,
    table: (await attempt(tell, commons.files)) ?? { files: new Map(), remaps: new Map() },
    all,
    chosen,
    isOne: pid !== undefined,
    pageSize: size,
    contents,
    done: new Set(),
    holders: async () => await (holders ??= holdersOf(archive, all)),
    signal,
    tell,
    volumes,
  };
  return { searched, [Symbol.asyncDispose]: async () => await contents[Symbol.asyncDispose]() };
}

async function holdersOf(archive: Archive, all: readonly Process[]): Promise<ReadonlyMap<number, readonly Holder[]>> {
  const holders = new Map<number, Holder[]>();
  for (const { pid, ids } of all) {
    const own =
      ids === undefined
        ? undefined
        : await attempt(
            () => {},
            async () => await descriptors(archive, ids.filesId),
          );
    archive.budget.keep("checkpoint/files.img", own?.length ?? 0);
    for (const { fd, fileId } of own ?? []) {
      const known = holders.get(fileId);
      if (known === undefined) holders.set(fileId, [{ pid, fd }]);
      else known.push({ pid, fd });
    }
  }
  return holders;
}
