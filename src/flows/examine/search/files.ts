import { basename } from "node:path";
import type { ContainerFiles } from "../../../archive/rootfs.ts";
import type { Content } from "../../../criu/contents.ts";
import { sharedSource } from "../../../criu/contents.ts";
import { ghostFile, ghostSource } from "../../../criu/ghosts.ts";
import { systemVIpc } from "../../../criu/ipc.ts";
import { missingMounts } from "../../../criu/missing.ts";
import { pagemap } from "../../../criu/pagemap.ts";
import { attempt, notThere } from "../../../criu/problems.ts";
import { addressSpace } from "../../../criu/regions.ts";
import { sourceStretches, type Stretch } from "../../../criu/search/windows.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";
import type { Source } from "../../../model/source.ts";
import type { Place } from "./location.ts";
import type { Searched } from "./search.ts";

/**
 * Files: what the container changed in its root file system and in what is mounted there, deleted files, memfds and segments that were not
 * searched as memory, every other member of the archive as it is, and volumes that were copied with it. Of one process those that it has open, runs or maps.
 */
export async function* fileStretches(searched: Searched): AsyncGenerator<Stretch<Place>> {
  const users = usersOf(searched);
  if (searched.isOne) yield* ofProcess(searched, users);
  else {
    const seen = new Set<string>();
    for (const { message } of await missingMounts(searched.archive, searched.all))
      searched.tell(notThere(message, "the archive is incomplete"));
    yield* nestedFiles(searched, users, seen);
    yield* deletedFiles(searched, users, seen);
    yield* sharedMemory(searched, users);
    yield* otherMembers(searched, seen);
    yield* volumeFiles(searched);
  }
}

/** Files of the volumes that were copied with the archive. */
async function* volumeFiles({ volumes, signal, tell }: Searched): AsyncGenerator<Stretch<Place>> {
  if (volumes === undefined) return;
  const { archive, path } = volumes;
  const name = basename(path);
  for (const problem of archive.problems) tell(notSearched(name, problem));
  for (const [member, { type, size }] of archive.members) {
    signal.throwIfAborted();
    if (type !== "file" || size === 0) continue;
    const source = await attempt(tell, async () => await Promise.resolve(archive.open(member)));
    if (source !== undefined) yield* sourceStretches(source, place(volumes.shown(member), name, undefined));
  }
}

/** Pids of who has one of these open files, runs or maps it. */
type FindUsers = (fileIds: readonly number[]) => Promise<readonly number[]>;

/** Read when the first match asks for it. */
function usersOf({ archive, all, holders }: Searched): FindUsers {
  let mapped: Promise<Map<number, Set<number>>> | undefined;
  const read = async (): Promise<Map<number, Set<number>>> => {
    const pids = new Map<number, Set<number>>();
    for (const { pid } of all) {
      const space = await attempt(
        () => {},
        async () => await addressSpace(archive, pid),
      );
      for (const id of [space?.exeId, ...(space?.mappings ?? []).map(({ fileId }) => fileId)]) {
        if (id !== undefined) pids.set(id, (pids.get(id) ?? new Set()).add(pid));
      }
    }
    return pids;
  };
  return async (fileIds) => {
    const [open, inMemory] = [await holders(), await (mapped ??= read())];
    const pids = fileIds.flatMap((id) => [...(open.get(id) ?? []).map(({ pid }) => pid), ...(inMemory.get(id) ?? [])]);
    return [...new Set(pids)].sort((a, b) => a - b);
  };
}

function place(path: string | undefined, member: string, users: (() => Promise<readonly number[]>) | undefined): Place {
  return {
    label: path ?? member,
    locate: async (offset) => ({ in: "files", path, member, offset, users: await users?.() }),
  };
}

/** What one process has: by what the archive has of its open files, mappings and executable. */
async function* ofProcess(
  { archive, chosen, table, contents, holders, done, tell }: Searched,
  users: FindUsers,
): AsyncGenerator<Stretch<Place>> {
  const pids = new Set(chosen.map(({ pid }) => pid));
  const ids = new Set<number>();
  for (const [id, all] of await holders()) if (all.some(({ pid }) => pids.has(pid))) ids.add(id);
  for (const pid of pids) {
    const space = await attempt(
      () => {},
      async () => await addressSpace(archive, pid),
    );
    for (const id of [space?.exeId, ...(space?.mappings ?? []).map(({ fileId }) => fileId)]) if (id !== undefined) ids.add(id);
  }
  const seen = new Set<string>();
  for (const id of ids) {
    const file = table.files.get(id);
    const content: Content | undefined = await attempt(tell, async () => await contents.of(id));
    if (file === undefined || content === undefined || (file.shmid !== undefined && done.has(file.shmid))) continue;
    const path = content.kind === "deleted" ? `${file.name} (deleted)` : file.name;
    const key = `${content.member} ${path}`;
    if (seen.has(key)) continue;
    seen.add(key);
    yield* sourceStretches(
      content.source,
      place(path, content.member, async () => await users([id])),
    );
  }
}

const ROOTFS = "rootfs-diff.tar";
const NESTED = /^(devshm-checkpoint\.tar|volumes\/.*\.tar|checkpoint\/tmpfs-dev-\d+\.tar\.gz\.img)$/;

/** The files in the archives inside the archive. */
async function* nestedFiles(
  { archive, table, contents, signal, tell }: Searched,
  users: FindUsers,
  seen: Set<string>,
): AsyncGenerator<Stretch<Place>> {
  const ids = Map.groupBy(
    [...table.files.values()].filter(({ type }) => type === "file"),
    ({ name }) => name,
  );
  const openAs = (path: string): readonly number[] => (ids.get(path) ?? []).map(({ id }) => id);
  for (const { name, type, size } of archive.members.values()) {
    if (type !== "file" || size === 0 || (name !== ROOTFS && !NESTED.test(name))) continue;
    seen.add(name);
    const mount = (await contents.mounts()).find(({ member }) => member === name);
    const files = await attempt(tell, async () => await contents.files(name === ROOTFS ? undefined : name, mount?.path ?? ""));
    if (files === undefined) continue;
    for (const problem of files.problems) tell(notSearched(name, problem));
    const others = files.complete ? [] : ["it is cut short"];
    for (const problem of others) tell(notSearched(name, problem));
    for (const [path, member] of files.members) {
      signal.throwIfAborted();
      if (member.type !== "file") continue;
      const source = opened(files, path, tell);
      if (source !== undefined)
        yield* sourceStretches(
          source,
          place(path, name, async () => await users(openAs(path))),
        );
    }
  }
}

function opened(files: ContainerFiles, path: string, tell: (problem: UserError) => void): Source | undefined {
  try {
    return files.open(path);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    tell(error);
    return undefined;
  }
}

function notSearched(member: string, problem: string): UserError {
  return new UserError({ reason: "ArchiveDamaged", message: say`${member}: ${problem}` });
}

async function* deletedFiles({ archive, table, tell }: Searched, users: FindUsers, seen: Set<string>): AsyncGenerator<Stretch<Place>> {
  const ghosts = Map.groupBy(
    [...table.remaps].filter(([, { kind }]) => kind === "ghost"),
    ([, { id }]) => id,
  );
  for (const [number, remaps] of ghosts) {
    const fileIds = remaps.map(([fileId]) => fileId);
    const path = table.files.get(fileIds[0] ?? 0)?.name ?? "";
    const ghost = await attempt(tell, async () => await ghostFile(archive, number, path, fileIds));
    const source = ghost && (await attempt(tell, async () => await ghostSource(archive, ghost)));
    if (ghost === undefined || source === undefined) continue;
    seen.add(ghost.image);
    yield* sourceStretches(
      source,
      place(`${path} (deleted)`, ghost.image, async () => await users(fileIds)),
    );
  }
}

/** Where no page is in the archive, nothing depends on how large they are. */
const ANY = 4096;

const SHARED = /^checkpoint\/pagemap-shmem-(\d+)\.img$/;

/** Shared memory that no process has mapped: memfds, segments, and what nothing tells the use of. */
async function* sharedMemory(
  { archive, table, commons, pageSize, done, tell }: Searched,
  users: FindUsers,
): AsyncGenerator<Stretch<Place>> {
  const ipc = await attempt(tell, async () => await systemVIpc(archive));
  const memfds = Map.groupBy(
    [...table.files.values()].filter(({ shmid }) => shmid !== undefined),
    ({ shmid }) => String(shmid),
  );
  const segments = new Map(ipc?.segments.map((segment) => [String(segment.id), segment]));
  for (const { id, data } of ipc?.segments ?? []) {
    if (data !== undefined) yield* sourceStretches(data, place(`sysv:${id}`, "checkpoint/ipcns-shm", undefined));
  }
  for (const name of archive.members.keys()) {
    const id = SHARED.exec(name)?.[1];
    if (id === undefined || done.has(BigInt(id)) || pageSize === undefined) continue;
    const pages = await attempt(tell, async () => await commons.shared(BigInt(id), pageSize));
    if (pages === undefined) continue;
    const [memfd, ...more] = memfds.get(id) ?? [];
    const segment = segments.get(id);
    const path = memfd?.name ?? (segment === undefined ? undefined : `sysv:${id}`);
    const ids = memfd === undefined ? [] : [memfd, ...more].map((file) => file.id);
    const size = Number(pages.runs.at(-1)?.address ?? 0n) + (pages.runs.at(-1)?.pages ?? 0) * pageSize;
    const lost = pages.runs.reduce((sum, run) => sum + (run.source === undefined && run.content !== "none" ? run.pages : 0), 0);
    if (lost > 0)
      tell(
        notThere(
          say`${lost} pages of ${name} were not searched: they are not in the archive`,
          "they are in an earlier checkpoint, or were left on the node",
        ),
      );
    const source = sharedSource({ ...pages, runs: pages.runs.filter((run) => run.source !== undefined) }, size, pageSize);
    yield* sourceStretches(
      source,
      place(path, name, async () => await users(ids)),
    );
  }
}

/** Members whose bytes are queues. */
const QUEUES = /^checkpoint\/(pipes-data|fifo-data|sk-queues|tcp-stream-[\da-f]+|tty-data|bpfmap-data|ipcns-(msg|shm)-\d+)\.img$/;
const PAGEMAP = /^checkpoint\/(pagemap-(?:shmem-)?(\d+)\.img)$/;

/**
 * The engine's files, logs, what plugins of CRIU wrote, CRIU's images as they are, and pages that are left over from an earlier
 * checkpoint, of no process in the tree.
 */
async function* otherMembers({ archive, all, pageSize, tell }: Searched, seen: Set<string>): AsyncGenerator<Stretch<Place>> {
  const pids = new Set(all.map(({ pid }) => pid));
  for (const name of archive.members.keys()) {
    const [, file, id] = PAGEMAP.exec(name) ?? [];
    if (file === undefined || (!SHARED.test(name) && !pids.has(Number(id)))) continue;
    const map = await attempt(
      () => {},
      async () => await pagemap(archive, file, pageSize ?? ANY),
    );
    if (map !== undefined) seen.add(map.pagesName);
  }
  for (const { name, type, size } of archive.members.values()) {
    if (type !== "file" || size === 0 || seen.has(name) || QUEUES.test(name)) continue;
    const source = await attempt(tell, async () => await Promise.resolve(archive.open(name)));
    if (source !== undefined) yield* sourceStretches(source, place(undefined, name, undefined));
  }
}
