import { posix } from "node:path";
import type { Archive, Member } from "../../../archive/archive.ts";
import { filesAt, rootfsChange, type ContainerFiles, type RootfsChange } from "../../../archive/rootfs.ts";
import { pieces } from "../../../archive/sources.ts";
import { fileTable } from "../../../criu/files/table.ts";
import { ghostFiles, ghostPieces, type GhostFile } from "../../../criu/ghosts.ts";
import { UserError } from "../../../model/error.ts";
import type { Written } from "../../../local/write.ts";
import { isWithin, mounted, mountPointsBelow, type Mounted } from "./mounted.ts";

/** What a PATH names, and the archives that are held open for it. */
export interface Named extends AsyncDisposable {
  /** Its last part: what it is called where it is written. */
  readonly name: string;
  /** One file, or what is below a directory. */
  readonly files: Iterable<NamedFile>;
  readonly isDirectory: boolean;
  /** Below a directory: how many links, devices and the like there are, which are not written. */
  readonly leftOut: number;
  /** Below a directory: how many places there are where something was mounted that is not in the archive. */
  readonly mountPoints: number;
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
  const mounts = await mounted(archive);
  const around = mounts.filter(({ path: mount }) => isWithin(wanted, mount));
  for (const mount of around) {
    if (mount.member === undefined) return (await findGhost(archive, wanted)) ?? inVolume(wanted, mount);
    const files = await filesAt(archive, mount.member, mount.path, signal);
    const named = await lookUp(files, wanted, mount.path, mountPointsBelow(mount.path, mounts));
    if (named !== undefined) return named;
  }
  const change = await rootfsChange(archive, signal);
  const named = await lookUp(change, wanted, "", mountPointsBelow("", mounts));
  return named ?? (await findGhost(archive, wanted)) ?? absent(wanted, change, around[0]);
}

async function findMember(archive: Archive, wanted: string, signal: AbortSignal): Promise<Named> {
  const files: Files = { members: archive.members, open: (name) => archive.open(name), [Symbol.asyncDispose]: async () => {} };
  const named = await lookUp(files, wanted, undefined, () => false);
  if (named !== undefined) return named;
  await using change = await rootfsChange(archive, signal);
  throw new UserError({
    reason: "NotInArchive",
    message: `the archive has no member ${wanted}`,
    fix: change.members.get(`/${wanted}`) === undefined ? undefined : `a path in the container begins with a slash: /${wanted}`,
  });
}

type Files = Pick<ContainerFiles, "members" | "open" | typeof Symbol.asyncDispose>;

/**
 * `root` is there without being a member, for it may be empty.
 * Takes over `files`: they are closed where nothing is found in them, else by whoever gets what was.
 */
async function lookUp(
  files: Files,
  wanted: string,
  root: string | undefined,
  isMountPoint: (path: string) => boolean,
): Promise<Named | undefined> {
  const close = async (): Promise<void> => await files[Symbol.asyncDispose]();
  const bytes = (path: string) => () => pieces(files.open(path));
  const member = files.members.get(wanted);
  const name = posix.basename(wanted) || "rootfs";
  if (member !== undefined && member.type !== "directory") {
    const file = { from: wanted, below: [], bytes: bytes(wanted) };
    return { name, files: [file], isDirectory: false, leftOut: 0, mountPoints: 0, [Symbol.asyncDispose]: close };
  }
  const prefix = `${wanted}/`;
  // Gone through again instead of kept: there may be very many.
  const below = function* (): Generator<[path: string, type: Member["type"] | "mount point"]> {
    for (const [path, { type }] of files.members) {
      if (path.startsWith(prefix)) yield [path, isMountPoint(path) ? "mount point" : type];
    }
  };
  let [some, leftOut, mountPoints] = [member !== undefined || wanted === root, 0, 0];
  for (const [, type] of below()) {
    some ||= type !== "directory";
    if (type === "mount point") mountPoints += 1;
    else if (type !== "file" && type !== "directory") leftOut += 1;
  }
  if (!some) {
    await close();
    return undefined;
  }
  return {
    name,
    files: {
      *[Symbol.iterator]() {
        for (const [path, type] of below()) {
          if (type === "file") yield { from: path, below: path.slice(prefix.length).split("/"), bytes: bytes(path) };
        }
      },
    },
    isDirectory: true,
    leftOut,
    mountPoints,
    [Symbol.asyncDispose]: close,
  };
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
    leftOut: 0,
    mountPoints: 0,
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

function inVolume(wanted: string, { path, kernel = false }: Mounted): never {
  throw new UserError({
    reason: "NotInArchive",
    message: `${wanted} is not in the archive`,
    why: kernel
      ? `it is in a file system of the kernel's, mounted at ${path}: those are not in an archive`
      : `it is in a volume, mounted at ${path}: volumes are not in an archive`,
  });
}

function absent(wanted: string, { deleted }: RootfsChange, mount: Mounted | undefined): never {
  if (deleted.has(wanted)) throw new UserError({ reason: "Deleted", message: `${wanted} was deleted in the container` });
  throw new UserError({
    reason: "NotInArchive",
    message: `${wanted} is not in the archive`,
    why:
      mount === undefined
        ? "an archive has the files that the container changed, not those of its image"
        : `${mount.member}, which was mounted at ${mount.path}, does not have it`,
  });
}
