import { posix } from "node:path";
import type { Archive, Member } from "../archive/archive.ts";
import { engineOf } from "../archive/engines/engine.ts";
import type { VolumeMount } from "../archive/engines/info.ts";
import { filesAt, rootfsChange, type ContainerFiles, type RootfsChange } from "../archive/rootfs.ts";
import { pieces } from "../archive/sources.ts";
import { fileTable } from "../criu/files/table.ts";
import { ghostFiles, ghostPieces, type GhostFile } from "../criu/ghosts.ts";
import { mounts } from "../criu/mounts.ts";
import { UserError } from "../model/error.ts";
import type { Written } from "./destination.ts";

/** What a PATH names, and the archives that are held open for it. */
export interface Named extends AsyncDisposable {
  /** Its last part: what it is called where it is written. */
  readonly name: string;
  /** One file, or what is below a directory. */
  readonly files: readonly NamedFile[];
  readonly isDirectory: boolean;
  /** Below a directory: links, devices and the like, which are not written. */
  readonly leftOut: readonly Member[];
}

export interface NamedFile {
  /** As PATH would name it. */
  readonly from: string;
  /** The parts of its path below the directory; none for a file that was named itself. */
  readonly below: readonly string[];
  /** Throws a UserError where it cannot be read. */
  readonly bytes: () => AsyncIterable<Written>;
}

/**
 * Finds what PATH names: an absolute path is one in the container, anything else a member of the archive.
 * Throws a UserError that says why the archive does not have it.
 */
export async function find(archive: Archive, path: string, signal: AbortSignal): Promise<Named> {
  const wanted = posix.join(path, "/").slice(0, -1);
  if (!path.startsWith("/")) return await findMember(archive, wanted, signal);
  for (const { mount, member } of await mountedArchives(archive, wanted)) {
    const named = await lookUp(await filesAt(archive, member, mount, signal), wanted, mount);
    if (named !== undefined) return named;
  }
  const change = await rootfsChange(archive, signal);
  const named = await lookUp(change, wanted, "");
  return named ?? (await findGhost(archive, wanted)) ?? (await absent(archive, wanted, change));
}

async function findMember(archive: Archive, wanted: string, signal: AbortSignal): Promise<Named> {
  const files: Files = { members: archive.members, open: (name) => archive.open(name), [Symbol.asyncDispose]: async () => {} };
  const named = await lookUp(files, wanted, undefined);
  if (named !== undefined) return named;
  await using change = await rootfsChange(archive, signal);
  throw new UserError({
    reason: "NotInArchive",
    message: `the archive has no member ${wanted}`,
    fix: change.members.has(`/${wanted}`) ? `a path in the container begins with a slash: /${wanted}` : undefined,
  });
}

type Files = Pick<ContainerFiles, "members" | "open" | typeof Symbol.asyncDispose>;

/**
 * `root` is there without being a member, for it may be empty.
 * Takes over `files`: they are closed where nothing is found in them, else by whoever gets what was.
 */
async function lookUp(files: Files, wanted: string, root: string | undefined): Promise<Named | undefined> {
  const close = async (): Promise<void> => await files[Symbol.asyncDispose]();
  const bytes = (path: string) => () => pieces(files.open(path));
  const member = files.members.get(wanted);
  const name = posix.basename(wanted) || "rootfs";
  if (member !== undefined && member.type !== "directory") {
    const file = { from: wanted, below: [], bytes: bytes(wanted) };
    return { name, files: [file], isDirectory: false, leftOut: [], [Symbol.asyncDispose]: close };
  }
  const prefix = `${wanted}/`;
  const below = [...files.members].filter(([path, { type }]) => path.startsWith(prefix) && type !== "directory");
  if (member === undefined && below.length === 0 && wanted !== root) {
    await close();
    return undefined;
  }
  return {
    name,
    files: below
      .filter(([, { type }]) => type === "file")
      .map(([path]) => ({ from: path, below: path.slice(prefix.length).split("/"), bytes: bytes(path) })),
    isDirectory: true,
    leftOut: below.filter(([, { type }]) => type !== "file").map(([, other]) => other),
    [Symbol.asyncDispose]: close,
  };
}

/** Archives inside the archive that hold what was mounted where `wanted` is, the innermost mount first. */
async function mountedArchives(archive: Archive, wanted: string): Promise<{ mount: string; member: string }[]> {
  const found = (await volumesOf(archive)).flatMap(({ path, member }) => (member === undefined ? [] : { mount: path, member }));
  if (archive.members.has(SHM)) found.push({ mount: "/dev/shm", member: SHM });
  for (const { path, type, device, root } of await unless(async () => await mounts(archive), [])) {
    const member = `checkpoint/tmpfs-dev-${device.replace(/^0:/, "")}.tar.gz.img`;
    if (type === "tmpfs" && root === "/" && archive.members.has(member)) found.push({ mount: path, member });
  }
  return found
    .map(({ mount, member }) => ({ mount: mount.replace(/\/+$/, ""), member }))
    .filter(({ mount }) => `${wanted}/`.startsWith(`${mount}/`))
    .sort((a, b) => b.mount.length - a.mount.length);
}

/** Podman's copy of /dev/shm. */
const SHM = "devshm-checkpoint.tar";

async function volumesOf(archive: Archive): Promise<readonly VolumeMount[]> {
  return await unless(async () => (await engineOf(archive)).volumes ?? [], []);
}

/** What cannot be read here need not keep anyone from what can. */
async function unless<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof UserError) return otherwise;
    throw error;
  }
}

/** Files that were deleted while they were open; several may have had one path. */
async function findGhost(archive: Archive, wanted: string): Promise<Named | undefined> {
  const found = (await ghostFiles(archive, await fileTable(archive))).filter(({ path }) => path === wanted);
  if (found.length === 0) return undefined;
  const isDirectory = found.length > 1;
  return {
    name: posix.basename(wanted),
    files: found.map((ghost) => ({
      from: `${wanted} (deleted)`,
      below: isDirectory ? [posix.basename(ghost.image, ".img")] : [],
      bytes: () => ghostBytes(archive, ghost),
    })),
    isDirectory,
    leftOut: [],
    async [Symbol.asyncDispose]() {},
  };
}

async function* ghostBytes(archive: Archive, ghost: GhostFile): AsyncGenerator<Written, void> {
  if (ghost.target !== undefined) {
    throw new UserError({
      reason: "UnreadableMember",
      message: `${ghost.path} was a symlink, which is never followed`,
      why: `it pointed to ${ghost.target}`,
    });
  }
  let at = 0;
  for await (const { offset, bytes } of ghostPieces(archive, ghost)) {
    if (offset > at) yield offset - at;
    yield bytes;
    at = offset + bytes.length;
  }
  if (ghost.size > at) yield ghost.size - at;
}

async function absent(archive: Archive, wanted: string, change: Pick<RootfsChange, "deleted">): Promise<never> {
  if (change.deleted.has(wanted)) throw new UserError({ reason: "Deleted", message: `${wanted} was deleted in the container` });
  const volume = (await volumesOf(archive)).find(({ path }) => `${wanted}/`.startsWith(`${path}/`));
  throw new UserError({
    reason: "NotInArchive",
    message: `${wanted} is not in the archive`,
    why:
      volume === undefined
        ? "an archive has the files that the container changed, not those of its image"
        : `it is in a volume, mounted at ${volume.path}: volumes are not in an archive`,
  });
}
