import type { Archive } from "../archive/archive.ts";
import { allEntries, oneEntry } from "./entries.ts";
import { descriptors } from "./files/descriptors.ts";
import type { FileType } from "./files/file.ts";
import { fileTable, isOldLayout, type FileTable } from "./files/table.ts";
import { InventoryEntrySchema } from "./gen/inventory_pb.ts";
import { TaskKobjIdsEntrySchema, type TaskKobjIdsEntry } from "./gen/namespaces_pb.ts";
import { CoreEntrySchema, PstreeEntrySchema } from "./gen/process_pb.ts";
import { hasImage, imageName } from "./image.ts";
import { tmpfsMember } from "./mounted.ts";
import { mounts } from "./mounts.ts";
import { attempt, damaged, type Tell } from "./problems.ts";
import { stateOf, type Process } from "./processes.ts";

/** What other images refer to and is not in the archive. */
export interface Missing {
  /** In words, without a full stop. */
  readonly message: string;
  /** False where CRIU may not have written it. */
  readonly certain: boolean;
}

/** What is there and cannot be read is checkImages()' to tell. */
const ignore: Tell = () => {};

/**
 * The images and entries that are not there, though CRIU writes them: of the tasks of the process tree, of what they had
 * open, of memfds and deleted files. Throws a UserError where the process tree is damaged, or has too many tasks.
 */
export async function* missingImages(archive: Archive): AsyncGenerator<Missing> {
  /** By the number of a table of descriptors, a process that has it; the container's first process comes first. */
  const tables = new Map<number, number>();
  const pids = new Set<number>();
  const all: TaskKobjIdsEntry[] = [];
  for await (const { pid, threads } of allEntries(archive, "pstree.img", PstreeEntrySchema)) {
    if (pids.has(pid)) throw damaged(imageName("pstree.img"), `two processes ${pid}`);
    pids.add(pid);
    archive.budget.keep(imageName("pstree.img"), threads.length);
    yield* absent(archive, `core-${pid}.img`, `the process tree has a task ${pid}`);
    const core = await attempt(ignore, async () => await oneEntry(archive, `core-${pid}.img`, CoreEntrySchema));
    // The thread of a zombie has any number.
    if (core === undefined || stateOf(core) === "zombie") continue;
    for (const tid of threads) if (tid !== pid) yield* absent(archive, `core-${tid}.img`, `the process tree has a task ${tid}`);
    for (const kind of ["mm", "pagemap", "fs"]) yield* absent(archive, `${kind}-${pid}.img`, `process ${pid} was alive`);
    if (core.ids === undefined) yield* absent(archive, `ids-${pid}.img`, `process ${pid} was alive`);
    const ids = core.ids ?? (await attempt(ignore, async () => await oneEntry(archive, `ids-${pid}.img`, TaskKobjIdsEntrySchema)));
    if (ids === undefined) continue;
    all.push(ids);
    if (!tables.has(ids.filesId)) tables.set(ids.filesId, pid);
  }
  yield* await missingNamespaces(archive, all, NAMESPACES);
  yield* await missingTmpfs(archive);
  if (tables.size === 0 || isOldLayout(archive)) return;
  // Whatever the processes had open: their executables are in it.
  yield* absent(archive, "files.img", "it tells what the processes had open");
  const table = await attempt(ignore, async () => await fileTable(archive));
  if (table === undefined) return;
  yield* missingFiles(archive, table, tables);
  yield* missingMemfds(archive, table);
  yield* missingGhosts(archive, table);
}

function* absent(archive: Archive, file: string, why: string): Generator<Missing> {
  if (!hasImage(archive, file)) yield { message: `${imageName(file)} is missing: ${why}`, certain: true };
}

type NamespaceImage = readonly [type: "utsNsId" | "ipcNsId" | "mntNsId", kind: string];

const MOUNTS: NamespaceImage = ["mntNsId", "mountpoints"];
// Whether a network namespace has images is for who called CRIU to say.
const NAMESPACES: readonly NamespaceImage[] = [["utsNsId", "utsns"], ["ipcNsId", "ipcns-var"], MOUNTS];

/** Of the namespaces of processes, but for those that CRIU itself was in. */
async function missingNamespaces(
  archive: Archive,
  all: readonly TaskKobjIdsEntry[],
  images: readonly NamespaceImage[],
): Promise<Missing[]> {
  const outside = (await attempt(ignore, async () => await oneEntry(archive, "inventory.img", InventoryEntrySchema)))?.rootIds;
  const files = new Set<string>();
  for (const ids of all)
    for (const [type, kind] of images)
      if (ids[type] !== 0 && (outside?.[type] ?? 0) !== 0 && outside?.[type] !== ids[type]) files.add(`${kind}-${ids[type]}.img`);
  return [...files].flatMap((file) => [...absent(archive, file, "processes were in that namespace")]);
}

/** What is not there of what was mounted in the container: what tells of it, and the files of each tmpfs. */
export async function missingMounts(archive: Archive, processes: readonly Pick<Process, "ids">[]): Promise<Missing[]> {
  const all = processes.flatMap(({ ids }) => ids ?? []);
  return [...(await missingNamespaces(archive, all, [MOUNTS])), ...(await missingTmpfs(archive))];
}

/** Of a forged table of mounts. */
const MOST_NAMED = 20;

/**
 * The files of each tmpfs that was mounted whole inside the container: CRIU packs them, even where there are none. What was brought in from
 * outside, and a root that is a tmpfs, it leaves to the engine.
 */
async function missingTmpfs(archive: Archive): Promise<Missing[]> {
  const all = await attempt(ignore, async () => await mounts(archive));
  const missing: Missing[] = [];
  const byDevice = Map.groupBy(
    (all ?? []).filter(({ type }) => type === "tmpfs"),
    ({ device }) => device,
  );
  for (const same of byDevice.values()) {
    const whole = same.find(({ root }) => root === "/");
    if (whole === undefined || same.some(({ external, path }) => external || path === "/")) continue;
    const member = tmpfsMember(whole);
    if (!archive.members.has(member))
      missing.push({ message: `${member} is missing: it holds the files of the tmpfs at ${whole.path}`, certain: true });
  }
  const more = missing.length - MOST_NAMED;
  return more > 0 ? [...missing.slice(0, MOST_NAMED), { message: `the files of ${more} more tmpfs are missing`, certain: true }] : missing;
}

/** Of these types an open file is held by descriptors alone. */
const HELD: ReadonlySet<FileType> = new Set(["pipe", "socket", "eventfd", "epoll", "inotify", "fanotify", "signalfd", "timerfd", "pidfd"]);

async function* missingFiles(archive: Archive, { files }: FileTable, tables: ReadonlyMap<number, number>): AsyncGenerator<Missing> {
  const [first] = tables.keys();
  const held = new Set<number>();
  const without: (readonly [filesId: number, pid: number])[] = [];
  for (const [filesId, pid] of tables) {
    const image = `fdinfo-${filesId}.img`;
    if (!hasImage(archive, image)) without.push([filesId, pid]);
    else {
      const ids = ((await attempt(ignore, async () => await descriptors(archive, filesId))) ?? []).map(({ fileId }) => fileId);
      let lost = 0;
      for (const id of ids) {
        if (files.has(id)) held.add(id);
        else lost += 1;
      }
      if (lost > 0) yield { message: `checkpoint/files.img lacks ${lost} of the open files in ${imageName(image)}`, certain: true };
    }
  }
  // CRIU writes none where nothing was open; but a container's first process got its standard streams.
  const unclaimed = [...files.values()].some(({ id, type }) => HELD.has(type) && !held.has(id));
  for (const [filesId, pid] of without) {
    const certain = unclaimed || filesId === first;
    const why = certain ? `it tells what process ${pid} had open` : `process ${pid} had nothing open, or it was lost`;
    yield { message: `checkpoint/fdinfo-${filesId}.img is missing: ${why}`, certain };
  }
}

function* missingMemfds(archive: Archive, { files }: FileTable): Generator<Missing> {
  const lost = [...files.values()].filter(({ type, shmid }) => type === "memfd" && shmid === undefined).length;
  if (lost === 0) return;
  yield* absent(archive, "memfd.img", `it tells of ${lost} memfds that were open`);
  if (hasImage(archive, "memfd.img"))
    yield { message: `checkpoint/memfd.img lacks ${lost} of the memfds in checkpoint/files.img`, certain: true };
}

const GHOST = /^checkpoint\/ghost-file-[\da-f]+\.img$/;

function* missingGhosts(archive: Archive, { files, remaps }: FileTable): Generator<Missing> {
  if ([...archive.members.keys()].some((name) => GHOST.test(name)))
    yield* absent(archive, "remap-fpath.img", "it tells which deleted files are in the archive");
  const told = new Set<number>();
  for (const [fileId, { kind, id }] of remaps) {
    if (kind !== "ghost" || told.has(id)) continue;
    told.add(id);
    yield* absent(archive, `ghost-file-${id.toString(16)}.img`, `it holds the deleted file ${files.get(fileId)?.name ?? fileId}`);
  }
}
