import type { Archive } from "../../archive/archive.ts";
import { regionName } from "../../criu/region-name.ts";
import type { FileTable } from "../../criu/files/table.ts";
import type { Commons } from "../../criu/commons.ts";
import { memoryOf } from "../../criu/memory.ts";
import { hex } from "../../criu/numbers.ts";
import { attempt, type Tell } from "../../criu/problems.ts";
import { API_VERSION } from "../../model/documents.ts";
import type { Compared, Difference, MemoryDifference, ProcessDifference, ProcessReference } from "../../model/difference.ts";
import { UserError } from "../../model/error.ts";
import type { Inspection, MountItem, ProcessItem } from "../../model/inspection.ts";
import { inspectArchive } from "../inspect/inspection.ts";
import type { Section } from "../inspect/process.ts";
import { changesOf, equal, isEmpty } from "./changes.ts";
import { matchByPid, matchByTree } from "./match.ts";
import { compareMemory } from "./memory.ts";
import { fieldsOf, filesOf, socketsOf, variablesOf } from "./process.ts";
import { pairByAddress, pairByName } from "./regions.ts";
import { compareRootfs } from "./rootfs.ts";

const SECTIONS: ReadonlySet<Section> = new Set(["env", "files", "sockets", "mounts"]);

/** An archive to compare, under the name it was opened by. */
export interface Side {
  readonly path: string;
  readonly archive: Archive;
}

/** What the comparison of two archives needs of one of them. */
interface Opened extends Side {
  readonly inspection: Inspection;
  readonly commons: Commons;
  readonly table: FileTable;
  readonly pageSize: number | undefined;
}

/** How two checkpoints differ. Throws a UserError where one has no process tree. */
export async function compareArchives(
  from: Side,
  to: Side,
  signal: AbortSignal,
): Promise<{ difference: Difference; problems: readonly UserError[] }> {
  const problems: UserError[] = [];
  const tell: Tell = (problem) => problems.push(problem);
  const [before, after] = [await open(from, tell), await open(to, tell)];
  if (before.pageSize !== after.pageSize) tell(pagesDiffer(before.pageSize, after.pageSize));
  const id = before.inspection.containerID;
  const sameContainer = id !== undefined && id === after.inspection.containerID;
  const match = sameContainer ? matchByPid : matchByTree;
  const { pairs, removed, added } = match(before.inspection.processes, after.inspection.processes);
  const changed: ProcessDifference[] = [];
  for (const [a, b] of pairs) {
    signal.throwIfAborted();
    const difference = await processDifference(a, b, before, after, sameContainer, tell);
    if (difference !== undefined) changed.push(difference);
  }
  const mounts = changesOf(mountsOf(before), mountsOf(after), (a, b) => sameMount(a, b, sameContainer));
  const none = { added: [], removed: [], changed: [] };
  const rootfs = (await attempt(tell, async () => await compareRootfs(from.archive, to.archive, signal, tell))) ?? none;
  const difference: Difference = {
    apiVersion: API_VERSION,
    kind: "Difference",
    same: removed.length === 0 && added.length === 0 && changed.length === 0 && isEmpty(mounts) && isEmpty(rootfs),
    sameContainer,
    from: compared(before),
    to: compared(after),
    processes: { added: added.map(reference), removed: removed.map(reference), changed },
    mounts,
    rootfs,
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

/** Undefined where nothing differs. */
async function processDifference(
  a: ProcessItem,
  b: ProcessItem,
  from: Opened,
  to: Opened,
  sameContainer: boolean,
  tell: Tell,
): Promise<ProcessDifference | undefined> {
  const difference: ProcessDifference = {
    pid: a.pid,
    ...(a.pid === b.pid ? {} : { otherPid: b.pid }),
    comm: a.comm,
    args: a.args,
    fields: fieldsOf(a, b),
    environment: changesOf(variablesOf(a), variablesOf(b), equal),
    files: filesOf(a, b, sameContainer),
    sockets: socketsOf(a, b),
    memory: await attempt(tell, async () => await memoryDifference(a, b, from, to, sameContainer, tell)),
  };
  const { fields, environment, files, sockets, memory } = difference;
  const same = fields.length === 0 && [environment, files, sockets].every(isEmpty) && (memory?.changedBytes ?? 0) === 0;
  return same ? undefined : difference;
}

async function memoryDifference(
  a: ProcessItem,
  b: ProcessItem,
  from: Opened,
  to: Opened,
  sameContainer: boolean,
  tell: Tell,
): Promise<MemoryDifference | undefined> {
  const size = from.pageSize;
  if (size === undefined || size !== to.pageSize) return undefined;
  const before = await memoryOf(from.archive, a, size, from.commons);
  const after = await memoryOf(to.archive, b, size, to.commons);
  if (before === undefined || after === undefined) return undefined;
  const [left, right] = [before.space.regions, after.space.regions];
  const pairs = sameContainer
    ? pairByAddress(left, right)
    : pairByName(left, right, (region, side) => regionName(region, [from, to][side]?.table ?? from.table));
  const changes = await compareMemory(before, after, pairs, tell);
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
        name: regionName(region, only === "to" ? to.table : from.table),
        ...(only === undefined ? {} : { only }),
        comparedBytes: compared,
        changedBytes: changed,
        percent: percent(changed, compared),
      })),
  };
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

function mountsOf({ inspection }: Opened): Map<string, MountItem> {
  return new Map((inspection.mounts ?? []).map((mount) => [`${mount.path} ${mount.type}`, mount]));
}

/** Ids of pods and containers, which differ between two replicas by nature. */
const IDS = /[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

function sameMount(a: MountItem, b: MountItem, sameContainer: boolean): boolean {
  const told = ({ type, source, root, options, external }: MountItem): string => {
    const text = JSON.stringify([type, source, root, options, external]);
    return sameContainer ? text : text.replaceAll(IDS, "ID");
  };
  return told(a) === told(b);
}
