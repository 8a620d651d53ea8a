import type { Archive } from "../../../archive/archive.ts";
import { engineOf } from "../../../archive/engines/engine.ts";
import type { CheckpointInfo } from "../../../archive/engines/info.ts";
import { interruptedThreads } from "../../../criu/interrupted.ts";
import { controlGroups } from "../../../criu/cgroups.ts";
import { unknownImages } from "../../../criu/check.ts";
import { commonsOf, type Commons } from "../../../criu/commons.ts";
import { networkDevices } from "../../../criu/devices.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { ghostFiles } from "../../../criu/ghosts.ts";
import { origin, type Origin } from "../../../criu/inventory.ts";
import { systemVIpc } from "../../../criu/ipc.ts";
import { fileLocks } from "../../../criu/locks.ts";
import { missingMounts } from "../../../criu/missing.ts";
import { mounts, type Mount } from "../../../criu/mounts.ts";
import { namespaces, type Namespace } from "../../../criu/namespaces.ts";
import { octal } from "../../../criu/numbers.ts";
import { pageSize } from "../../../criu/pagesize.ts";
import { attempt, notThere, type Tell } from "../../../criu/problems.ts";
import { noSuchProcess, processes, type Process, hasOtherTasks } from "../../../criu/processes.ts";
import { seccompFilters } from "../../../criu/seccomp.ts";
import { statistics } from "../../../criu/statistics.ts";
import { memorySize } from "../../../criu/totals.ts";
import { processTree, type TreeNode } from "../../../criu/tree.ts";
import { API_VERSION } from "../../../model/documents.ts";
import type { UserError } from "../../../model/error.ts";
import type {
  DeletedFileItem,
  Inspection,
  IpcItem,
  LockItem,
  MemfdItem,
  NamespaceItem,
  ProcessItem,
  RenamedFileItem,
} from "../../../model/inspection.ts";
import { connections, type Connections } from "./connections.ts";
import type { AllThreads } from "./threads.ts";
import { processItem, type Section, type Setting } from "./process.ts";
import { FileUses, memfdIds } from "./users.ts";

export interface InspectionRequest {
  readonly sections: ReadonlySet<Section>;
  /** Of the one process that is asked for. */
  readonly pid: number | undefined;
  /** The root file system of the image, for symbols: where it was written. */
  readonly root?: string | undefined;
}

/** An inspection, with what could not be read of the archive. */
export interface Inspected {
  readonly inspection: Inspection;
  /** What its processes share, for whoever looks further. */
  readonly commons: Commons;
  readonly table: FileTable;
  readonly problems: UserError[];
}

/** What an archive tells of its processes. Throws a UserError where it has none, or not the process that is asked for. */
export async function inspectArchive(archive: Archive, { sections, pid, root }: InspectionRequest): Promise<Inspected> {
  const problems: UserError[] = [];
  const tell = (problem: UserError): void => {
    if (!problems.some(({ message }) => message === problem.message)) problems.push(problem);
  };
  const attempted = async <T>(read: () => Promise<T>): Promise<T | undefined> => await attempt(tell, read);
  const wants = (section: Section): boolean => sections.has(section);
  const info = await attempted(async () => await engineOf(archive));
  const all = await processes(archive, tell);
  const chosen = pid === undefined ? all : all.filter((process) => process.pid === pid);
  if (pid !== undefined && chosen.length === 0) throw noSuchProcess(pid, all);
  const commons = commonsOf(archive);
  const table: FileTable = (await attempted(commons.files)) ?? { files: new Map(), remaps: new Map() };
  const architecture = all.flatMap(({ threads }) => threads).at(0)?.architecture;
  const uses = new FileUses();
  const setting: Setting = {
    archive,
    commons,
    table,
    pageSize: await attempted(async () => await pageSize(archive)),
    namespaces: await namespaces(archive, all, tell),
    filters: (await attempted(async () => await seccompFilters(archive, architecture))) ?? [],
    cgroups: (await attempted(async () => await controlGroups(archive))) ?? new Map(),
    connections:
      wants("files") || wants("sockets") || wants("threads")
        ? await attempted(async () => await connections(archive, all, table, tell))
        : undefined,
    uses,
    wants,
    tell,
  };
  const items = new Map<Process, Omit<ProcessItem, "children">>();
  for (const process of chosen) items.set(process, await processItem(process, setting));
  const threads = wants("threads") ? await threadsOf(archive, all, setting, problems, root) : undefined;
  const made = await attempted(async () => await origin(archive));
  const unknown = await unknownImages(archive);
  const whole = pid === undefined;
  const inspection: Inspection = {
    apiVersion: API_VERSION,
    kind: "Inspection",
    ...containerOf(info, made),
    criu: {
      version: made?.version,
      kernel: made?.kernel,
      imageVersion: made?.imageVersion,
      runID: made?.runId,
      lsm: made?.lsm ?? "unknown",
      plugins: made?.plugins ?? [],
      architecture,
      pageSize: setting.pageSize,
    },
    stats: await attempted(async () => await statistics(archive)),
    ...filled("interrupted", whole ? (await attempted(async () => await interruptedThreads(archive)))?.threads : []),
    ...filled(
      "deadlocks",
      threads?.deadlocks.filter((deadlock) => whole || deadlock.threads.some((thread) => thread.pid === pid)),
    ),
    memoryBytes: memorySize(archive),
    ...filled("networks", whole ? info?.networks : []),
    processes: processTree(chosen).map((node) => nested(node, items, threads)),
    ...(whole && wants("ps") ? { namespaces: await namespaceItems(archive, setting.namespaces, tell) } : {}),
    ...filled("seccompFilters", wants("ps") ? setting.filters : []),
    ...(wants("mounts") ? { mounts: await mountItems(archive, all, tell) } : {}),
    ...(whole && wants("ipc") ? { ipc: await attempted(async () => await ipcItem(archive, uses)) } : {}),
    ...(setting.connections !== undefined && wants("files") ? await fileSections(setting.connections, setting, whole, pid) : {}),
    ...filled("unknownImages", unknown),
    problems: problems.map(({ message }) => message),
  };
  return { inspection, commons, table, problems };
}

async function mountItems(archive: Archive, all: readonly Process[], tell: Tell): Promise<Mount[]> {
  const found = (await attempt(tell, async () => await mounts(archive))) ?? [];
  for (const { message } of await missingMounts(archive, all)) tell(notThere(message, "the archive is incomplete"));
  return found;
}

/** A list under its name, where it has anything. */
function filled<N extends string, T>(name: N, list: readonly T[] | undefined): { readonly [Name in N]?: readonly T[] } {
  return list === undefined || list.length === 0 ? {} : ({ [name]: list } as { readonly [Name in N]: readonly T[] });
}

function nested(
  { process, children }: TreeNode<Process>,
  items: ReadonlyMap<Process, Omit<ProcessItem, "children">>,
  found: AllThreads | undefined,
): ProcessItem {
  const item = items.get(process);
  if (item === undefined) throw new Error(`process ${process.pid} was not looked at`);
  const threads = found === undefined ? item.threads : item.threads.map((thread) => ({ ...thread, ...found.details.get(thread.tid) }));
  return { ...item, threads, children: children.map((child) => nested(child, items, found)) };
}

async function threadsOf(
  archive: Archive,
  processes: readonly Process[],
  setting: Setting,
  problems: readonly UserError[],
  root: string | undefined,
): Promise<AllThreads | undefined> {
  const { connections: opened } = setting;
  if (opened === undefined) return undefined;
  const { threadDetails } = await import("./threads.ts");
  const isWhole = problems.length === 0 && processes.every(({ ppid }) => ppid !== undefined) && !hasOtherTasks(archive, processes);
  return await attempt(setting.tell, async () => await threadDetails(archive, { processes, isWhole }, setting, opened, root));
}

async function namespaceItems(archive: Archive, all: readonly Namespace[], tell: Tell): Promise<NamespaceItem[]> {
  const items: NamespaceItem[] = [];
  for (const { id, ...namespace } of all) {
    const devices = namespace.type === "net" ? await attempt(tell, async () => await networkDevices(archive, id)) : undefined;
    items.push({ ...namespace, id: String(id), ...filled("devices", devices) });
  }
  return items;
}

async function ipcItem(archive: Archive, uses: FileUses): Promise<IpcItem> {
  const { segments, semaphores, queues } = await systemVIpc(archive);
  const item = <T extends { readonly namespace: number }>(object: T) => ({ ...object, namespace: String(object.namespace) });
  return {
    segments: segments.map((segment) => {
      const { data: _data, ...rest } = item(segment);
      return { ...rest, mappedBy: uses.attached(segment.id) };
    }),
    semaphores: semaphores.map(item),
    queues: queues.map(({ messages, ...queue }) => ({
      ...item(queue),
      messages: messages.map(({ type, data }) => ({ type, bytes: data.size })),
    })),
  };
}

/** What is known of files beside the descriptors of processes: of all of them, or the locks of one. */
async function fileSections(
  opened: Connections,
  { archive, table, uses, tell }: Setting,
  whole: boolean,
  pid: number | undefined,
): Promise<Pick<Inspection, "deletedFiles" | "memfds" | "renamedFiles" | "locks">> {
  const locks = (await attempt(tell, async () => await fileLocks(archive))) ?? [];
  const items = locks.filter((lock) => whole || lock.pid === pid).map((lock): LockItem => ({ ...lock, path: lockedPath(lock, opened) }));
  if (!whole) return filled("locks", items);
  const ghosts = await ghostFiles(archive, table, tell);
  const deletedFiles = ghosts.map(({ path, size, mode, uid, gid, image, fileIds }): DeletedFileItem => ({
    path,
    bytes: size,
    mode: octal(mode),
    uid,
    gid,
    image,
    ...uses.of(fileIds, opened),
  }));
  return {
    deletedFiles,
    ...filled("memfds", memfdItems(table, opened, uses)),
    ...filled("renamedFiles", renamedFiles(table, opened, uses)),
    ...filled("locks", items),
  };
}

function lockedPath({ pid, fd }: Pick<LockItem, "pid" | "fd">, { descriptors, table }: Connections): string | undefined {
  const fileId = descriptors.get(pid)?.find((descriptor) => descriptor.fd === fd)?.fileId;
  return fileId === undefined ? undefined : table.files.get(fileId)?.name;
}

/** Without shared anonymous memory, which is a memfd too: it has no name that anybody gave it. */
function memfdItems(table: FileTable, opened: Connections, uses: FileUses): MemfdItem[] {
  return [...memfdIds(table)].flatMap(([shmid, ids]): MemfdItem[] => {
    const file = table.files.get(ids[0] ?? 0);
    if (file === undefined || file.name === ANONYMOUS) return [];
    const { size = 0, uid = 0, gid = 0, seals = [] } = file.details;
    return [
      {
        name: file.name,
        inode: String(shmid),
        bytes: Number(size),
        uid: Number(uid),
        gid: Number(gid),
        seals: seals as readonly string[],
        ...uses.of(ids, opened),
      },
    ];
  });
}

const ANONYMOUS = "memfd:/dev/zero";

function renamedFiles(table: FileTable, opened: Connections, uses: FileUses): RenamedFileItem[] {
  const ids = Map.groupBy(
    [...table.remaps].filter(([, { kind }]) => kind === "linked"),
    ([, { id }]) => id,
  );
  return [...ids].map(([renamed, remaps]) => ({
    path: table.files.get(remaps[0]?.[0] ?? 0)?.name ?? "",
    renamedTo: table.files.get(renamed)?.name ?? `file ${renamed}`,
    ...uses.of(
      remaps.map(([fileId]) => fileId),
      opened,
    ),
  }));
}

function containerOf(info: CheckpointInfo | undefined, made: Origin | undefined) {
  const { container, containerID, image, imageID, createdAt, startedAt, checkpointedAt, pod, namespace, podUID, engine, runtime } =
    info ?? {};
  const times = { createdAt, startedAt, checkpointedAt };
  // As Kubernetes writes it; Podman's have no scheme.
  const qualified = containerID === undefined || engine === undefined || engine === "podman" ? containerID : `${engine}://${containerID}`;
  return { container, containerID: qualified, image, imageID, hostname: made?.hostname, ...times, pod, namespace, podUID, engine, runtime };
}
