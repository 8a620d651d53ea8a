import type { IndexedArchive } from "../../../archive/archive.ts";
import { regionName } from "../../../criu/region-name.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import type { Commons } from "../../../criu/commons.ts";
import { memoryOf, type ProcessMemory } from "../../../criu/memory.ts";
import { hex } from "../../../criu/numbers.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import type { Region } from "../../../criu/regions.ts";
import { API_VERSION } from "../../../model/documents.ts";
import type { Changes, Compared, Difference, MemoryDifference, ProcessDifference, ProcessReference } from "../../../model/difference.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";
import type { Inspection, MountItem, ProcessItem } from "../../../model/inspection.ts";
import { inspectArchive } from "../inspect/inspection.ts";
import type { Section } from "../inspect/process.ts";
import { compareByAddress } from "./by-address.ts";
import { changesOf, isEmpty, NO_CHANGES } from "./changes.ts";
import { matchByPid, matchByTree } from "./match.ts";
import { compareMemory } from "./memory.ts";
import { environmentOf, fieldsOf, filesOf, type ProcessPair, socketsOf } from "./process.ts";
import { pairByName } from "./regions.ts";
import { compareRootfs, type RootfsSide } from "./rootfs.ts";
import { untold } from "./untold.ts";

const SECTIONS: ReadonlySet<Section> = new Set(["env", "files", "sockets", "mounts"]);

/** An archive to compare, under the name it was opened by. */
export interface Side {
  readonly path: string;
  readonly archive: IndexedArchive;
}

/** What the comparison of two archives needs of one of them. */
interface Opened extends Side {
  readonly inspection: Inspection;
  readonly commons: Commons;
  readonly table: FileTable;
  readonly pageSize: number | undefined;
}

/** What is compared. */
export const DIFF_SECTIONS = ["ps", "env", "files", "sockets", "mounts", "memory", "changes"] as const;
export type DiffSection = (typeof DIFF_SECTIONS)[number];
/** Of these, processes have to be matched. */
const OF_PROCESSES: readonly DiffSection[] = ["ps", "env", "files", "sockets", "memory"];

export interface CompareOptions {
  readonly signal: AbortSignal;
  /** None: all. Where changed files are named, they are hashed. */
  readonly sections?: ReadonlySet<DiffSection>;
}

/** How two checkpoints differ. Throws a UserError where one has no process tree. */
export async function compareArchives(
  from: Side,
  to: Side,
  { signal, sections = new Set() }: CompareOptions,
): Promise<{ difference: Difference; problems: readonly UserError[] }> {
  const wanted: Wanted = (section) => sections.size === 0 || sections.has(section);
  const problems: UserError[] = [];
  const tell: Tell = (problem) => {
    if (!problems.some(({ message }) => message === problem.message)) problems.push(problem);
  };
  const [before, after] = [await open(from, tell), await open(to, tell)];
  if (wanted("memory") && before.pageSize !== after.pageSize) tell(pagesDiffer(before.pageSize, after.pageSize));
  const id = before.inspection.containerID;
  const sameContainer = id !== undefined && id === after.inspection.containerID;
  const match = sameContainer ? matchByPid : matchByTree;
  const processesOf = ({ inspection }: Opened) => (OF_PROCESSES.some(wanted) ? inspection.processes : []);
  const { pairs, removed, added } = match(processesOf(before), processesOf(after));
  const changed: ProcessDifference[] = [];
  const lacking = { from: untold(from.path), to: untold(to.path) };
  for (const [a, b] of pairs) {
    signal.throwIfAborted();
    const pair = { from: a, to: b, untold: { from: lacking.from.note, to: lacking.to.note } };
    const difference = await processDifference(pair, before, after, { sameContainer, wanted, tell });
    if (difference !== undefined) changed.push(difference);
  }
  for (const problem of [...lacking.from.problems(), ...lacking.to.problems()]) tell(problem);
  const mounts = wanted("mounts") ? compareMounts(mountsSide(before), mountsSide(after), sameContainer, tell) : NO_CHANGES;
  const ofRootfs = { signal, tell, hashes: sections.has("changes") };
  const rootfs = wanted("changes")
    ? await attempt(tell, async () => await compareRootfs(rootfsSide(before), rootfsSide(after), ofRootfs))
    : undefined;
  const difference: Difference = {
    apiVersion: API_VERSION,
    kind: "Difference",
    same: removed.length === 0 && added.length === 0 && changed.length === 0 && isEmpty(mounts) && isEmpty(rootfs ?? NO_CHANGES),
    sameContainer,
    from: compared(before),
    to: compared(after),
    processes: { added: added.map(reference), removed: removed.map(reference), changed },
    mounts,
    rootfs: rootfs ?? NO_CHANGES,
    problems: problems.map(({ message }) => message),
  };
  return { difference, problems };
}

async function open({ path, archive }: Side, tell: Tell): Promise<Opened> {
  const { problems, ...found } = await inspectArchive(archive, { sections: SECTIONS, pid: undefined });
  for (const problem of problems) tell(problem);
  return { path, archive, ...found, pageSize: found.inspection.criu.pageSize };
}

function compared({ path, inspection: { container, pod, namespace, checkpointedAt } }: Opened): Compared {
  return { path, container, pod, namespace, checkpointedAt };
}

function reference({ pid, comm, args }: ProcessItem): ProcessReference {
  return { pid, comm, args };
}

type Wanted = (section: DiffSection) => boolean;

/** Undefined where nothing differs. */
async function processDifference(
  pair: ProcessPair,
  from: Opened,
  to: Opened,
  { sameContainer, wanted, tell }: { sameContainer: boolean; wanted: Wanted; tell: Tell },
): Promise<ProcessDifference | undefined> {
  const { from: a, to: b } = pair;
  const difference: ProcessDifference = {
    pid: a.pid,
    ...(a.pid === b.pid ? {} : { otherPid: b.pid }),
    comm: a.comm,
    args: a.args,
    fields: wanted("ps") ? fieldsOf(pair) : [],
    environment: wanted("env") ? environmentOf(pair) : NO_CHANGES,
    files: wanted("files") ? filesOf(pair, sameContainer) : NO_CHANGES,
    sockets: wanted("sockets") ? socketsOf(pair) : NO_CHANGES,
    memory: wanted("memory") ? await attempt(tell, async () => await memoryDifference(pair, from, to, sameContainer, tell)) : undefined,
  };
  const { fields, environment, files, sockets, memory } = difference;
  const same = fields.length === 0 && [environment, files, sockets].every(isEmpty) && (memory?.changedBytes ?? 0) === 0;
  return same ? undefined : difference;
}

async function memoryDifference(
  pair: ProcessPair,
  from: Opened,
  to: Opened,
  sameContainer: boolean,
  tell: Tell,
): Promise<MemoryDifference | undefined> {
  const size = from.pageSize;
  if (size === undefined || size !== to.pageSize) return undefined;
  const before = await memoryOf(from.archive, pair.from, size, tell, from.commons);
  const after = await memoryOf(to.archive, pair.to, size, tell, to.commons);
  if (before === undefined || after === undefined) return undefined;
  const [known, alsoKnown] = [isKnown(before, from.table), isKnown(after, to.table)];
  if (!known) pair.untold.from(pair.from, "memory");
  if (!alsoKnown) pair.untold.to(pair.to, "memory");
  if (!known || !alsoKnown) return undefined;
  const changes = sameContainer
    ? await compareByAddress(before, after, tell)
    : await compareMemory(before, after, pairByName(before.regions, after.regions, named(from, to)), tell);
  const total = changes.reduce((sum, { compared, changed }) => ({ compared: sum.compared + compared, changed: sum.changed + changed }), {
    compared: 0,
    changed: 0,
  });
  return {
    comparedBytes: total.compared,
    changedBytes: total.changed,
    percent: percent(total.changed, total.compared),
    regions: changes
      .filter(({ changed }) => changed > 0)
      .map(({ region, only, compared, changed }) => ({
        start: hex(region.start),
        kind: region.kind,
        name: regionName(region, (only ?? (sameContainer ? "to" : "from")) === "to" ? to.table : from.table),
        ...(only === undefined ? {} : { only }),
        comparedBytes: compared,
        changedBytes: changed,
        percent: percent(changed, compared),
      })),
  };
}

function named(from: Opened, to: Opened) {
  return (region: Region, side: 0 | 1): string => regionName(region, side === 0 ? from.table : to.table);
}

/** Whether the files that it maps are known: regions are told by them, and shared memory is found by them. */
function isKnown({ space, regions }: ProcessMemory, { files }: FileTable): boolean {
  if (space.mappings === undefined) return false;
  return regions.every(
    ({ kind, fileId, shmid }) => fileId === undefined || (files.has(fileId) && (kind !== "shared" || shmid !== undefined)),
  );
}

function pagesDiffer(from: number | undefined, to: number | undefined): UserError {
  const told = (size: number | undefined): string => (size === undefined ? "no pages" : `pages of ${size} bytes`);
  return new UserError({
    reason: "PagesDiffer",
    message: `memory was not compared: the first archive has ${told(from)}, the second ${told(to)}`,
    why: "memory is compared page by page",
  });
}

/** With one decimal place. */
function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10;
}

function mountsSide({ path, inspection: { mounts = [] } }: Opened): MountsSide {
  return { path, mounts };
}

function rootfsSide({ path, archive, inspection: { engine } }: Opened): RootfsSide {
  return { path, archive, engine };
}

/** The mounts of one archive, and the name it was opened by. */
interface MountsSide {
  readonly path: string;
  readonly mounts: readonly MountItem[];
}

/** How the mounts differ. Every container has some: where one archive has none, they are not compared, and that is reported. */
function compareMounts(from: MountsSide, to: MountsSide, sameContainer: boolean, tell: Tell): Changes<MountItem> {
  const [without, ...both] = [from, to].filter(({ mounts }) => mounts.length === 0);
  if (without !== undefined && both.length === 0) {
    tell(new UserError({ reason: "NotInArchive", message: say`mounts were not compared: ${without.path} has none` }));
    return NO_CHANGES;
  }
  return changesOf(byPlace(from), byPlace(to), (a, b) => sameMount(a, b, sameContainer));
}

function byPlace({ mounts }: MountsSide): Map<string, MountItem> {
  return new Map(mounts.map((mount) => [`${mount.path} ${mount.type}`, mount]));
}

/** Ids of pods and containers, which differ between two replicas by nature. */
const IDS = /[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

function sameMount(a: MountItem, b: MountItem, sameContainer: boolean): boolean {
  const described = ({ type, source, root, options, external }: MountItem): string => {
    const text = JSON.stringify([type, source, root, options, external]);
    return sameContainer ? text : text.replaceAll(IDS, "ID");
  };
  return described(a) === described(b);
}
