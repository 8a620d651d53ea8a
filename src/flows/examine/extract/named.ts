import { posix } from "node:path";
import type { Archive, HostileMember, Member } from "../../../archive/archive.ts";
import type { VolumesBeside } from "../../../archive/volumes.ts";
import { filesAt, rootfsChange, type ContainerFiles, type RootfsChange } from "../../../archive/rootfs.ts";
import { pieces } from "../../../archive/sources.ts";
import { commonsOf } from "../../../criu/commons.ts";
import { Contents, sharedSource } from "../../../criu/contents.ts";
import { systemVIpc } from "../../../criu/ipc.ts";
import { isWithin, mounted, type Mounted } from "../../../criu/mounted.ts";
import { pageSize } from "../../../criu/pagesize.ts";
import { attempt } from "../../../criu/problems.ts";
import { extentsOf } from "../../../archive/sparse.ts";
import type { Written } from "../../../local/write.ts";
import { UserError } from "../../../model/error.ts";
import { namesMeant } from "../../../model/name.ts";
import { command, say } from "../../../model/phrase.ts";
import type { Source } from "../../../model/source.ts";
import { mountPointsBelow } from "./mount-points.ts";

/** What a PATH names, and the archives that are held open for it. */
export interface Named extends AsyncDisposable {
  /** Its last part: what it is called where it is written. */
  readonly name: string;
  /** One file, or what is below a directory. */
  readonly files: Iterable<NamedFile>;
  readonly isDirectory: boolean;
  readonly skipped: Skipped;
  /** What is wrong with the archive inside the archive that has it: files may be missing. */
  readonly problems: readonly UserError[];
}

/** What is not written of a directory. */
export interface Skipped {
  readonly symbolicLinks: number;
  /** Devices, FIFOs, sockets, and links to files that are not in the archive. */
  readonly special: number;
  /** Places where something was mounted that is not in the archive. */
  readonly mountPoints: number;
  /** Names that no file can have, as nameText writes them. */
  readonly names: readonly HostileMember[];
}

const NOTHING: Skipped = { symbolicLinks: 0, special: 0, mountPoints: 0, names: [] };

export interface NamedFile {
  /** As PATH would name it. */
  readonly from: string;
  /** The parts of its path below the directory; none for a file that was named itself. */
  readonly below: readonly string[];
  /** Throws a UserError where it cannot be read. Undefined for a directory. */
  readonly bytes: (() => AsyncIterable<Written>) | undefined;
}

/**
 * Finds what PATH names: an absolute path is one in the container; memfd:NAME and memfd:[INODE] are anonymous memory, sysv:ID a segment
 * of System V, volume:NAME/PATH a file in a volume that was copied with it; anything else is a member of the archive. Throws a UserError that
 * says why the archive does not have it.
 */
export async function find(archive: Archive, path: string, signal: AbortSignal, volumes?: VolumesBeside): Promise<Named> {
  let first: unknown;
  for (const meant of namesMeant(path)) {
    try {
      return await findOne(archive, meant, signal, volumes);
    } catch (error) {
      if (!(error instanceof UserError) || error.reason !== "NotInArchive") throw error;
      first ??= error;
    }
  }
  throw first;
}

async function findOne(archive: Archive, path: string, signal: AbortSignal, volumes: VolumesBeside | undefined): Promise<Named> {
  const wanted = posix.join(path, "/").slice(0, -1);
  if (!path.startsWith("/") && !archive.members.has(wanted)) {
    const [, kind, name] = /^(memfd|sysv|volume):(.*)$/s.exec(path) ?? [];
    if (kind === "memfd") return await findMemfd(archive, path, signal);
    if (kind === "sysv" && name !== undefined) return await findSegment(archive, name);
    if (kind === "volume") return await inCopy(volumes, `volume:${posix.normalize(name ?? "")}`.replace(/\/$/, ""));
  }
  return path.startsWith("/") ? await findPath(archive, wanted, signal, volumes) : await findMember(archive, wanted, signal);
}

/** In a volume that was copied, by its name. */
async function inCopy(volumes: VolumesBeside | undefined, wanted: string): Promise<Named> {
  const prefix = wanted.slice("volume:".length).split("/")[0] ?? "";
  const path = `volume:${prefix}`;
  const named = volumes === undefined ? undefined : await lookUp(volumes.at({ path, prefix }), wanted, undefined, () => false);
  if (named !== undefined) return named;
  throw new UserError({
    reason: "NotInArchive",
    message: say`${wanted} is not in a volume that was copied with the archive`,
    why: volumes === undefined ? "no volumes were copied with it: kubectl checkpoint --volumes does" : undefined,
  });
}

async function findPath(archive: Archive, wanted: string, signal: AbortSignal, volumes: VolumesBeside | undefined): Promise<Named> {
  const mounts = await mounted(archive);
  const around = mounts.filter(({ path }) => isWithin(wanted, path));
  for (const mount of around) {
    // What is mounted in other namespaces lies over nothing in the container's.
    if (mount.member === undefined && mount.namespace !== undefined) continue;
    if (mount.member === undefined) {
      const copied = volumes?.mounts.find(({ path }) => path === mount.path);
      const isMountPoint = mountPointsBelow(mount.path, mounts);
      const named =
        volumes === undefined || copied === undefined ? undefined : await lookUp(volumes.at(copied), wanted, mount.path, isMountPoint);
      return named ?? (await findOpen(archive, wanted, signal)) ?? inVolume(wanted, mount, copied !== undefined);
    }
    const files = await filesAt(archive, mount.member, mount.path || "/", signal);
    const named = await lookUp(files, wanted, mount.path, mountPointsBelow(mount.path, mounts));
    if (named !== undefined) return named;
  }
  const change = await rootfsChange(archive, signal);
  const named = await lookUp(change, wanted, "", mountPointsBelow("", mounts));
  return named ?? (await findOpen(archive, wanted, signal)) ?? absent(wanted, change, around[0]);
}

async function findMember(archive: Archive, wanted: string, signal: AbortSignal): Promise<Named> {
  const files: Files = {
    member: "",
    problems: [],
    complete: true,
    members: archive.members,
    leftOut: [],
    open: (name) => archive.open(name),
    [Symbol.asyncDispose]: async () => {},
  };
  const named = await lookUp(files, wanted, undefined, () => false);
  if (named !== undefined) return named;
  await using change = await rootfsChange(archive, signal);
  throw new UserError({
    reason: "NotInArchive",
    message: say`the archive has no member ${wanted}`,
    fix: change.members.get(`/${wanted}`) === undefined ? undefined : say`a path in the container begins with a slash: ${`/${wanted}`}`,
  });
}

type Files = Pick<ContainerFiles, "member" | "problems" | "complete" | "members" | "leftOut" | "open" | typeof Symbol.asyncDispose>;

/** Names that no file can have are said apart. */
function problemsOf({ member, problems, complete, leftOut }: Files): UserError[] {
  const apart = new Set(leftOut.map(({ name, why }) => `the name ${name} ${why}`));
  const told = problems.filter((problem) => !apart.has(problem));
  const all = complete || told.length > 0 ? told : ["it is cut short"];
  return all.map((problem) => new UserError({ reason: "ArchiveDamaged", message: say`${member}: ${problem}` }));
}

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
    return { name, files: [file], isDirectory: false, skipped: NOTHING, problems: problemsOf(files), [Symbol.asyncDispose]: close };
  }
  const prefix = `${wanted}/`;
  // Gone through again instead of kept: there may be very many.
  const below = function* (): Generator<[path: string, type: Member["type"] | "mount point"]> {
    for (const [path, { type }] of files.members) {
      if (path.startsWith(prefix)) yield [path, isMountPoint(path) ? "mount point" : type];
    }
  };
  let some = member !== undefined || wanted === root;
  const skipped = { ...NOTHING, names: files.leftOut };
  for (const [, type] of below()) {
    some ||= type !== "directory";
    if (type === "mount point") skipped.mountPoints += 1;
    else if (type === "symlink") skipped.symbolicLinks += 1;
    else if (type !== "file" && type !== "directory") skipped.special += 1;
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
          const file = { from: path, below: path.slice(prefix.length).split("/") };
          if (type === "file") yield { ...file, bytes: bytes(path) };
          else if (type === "directory") yield { ...file, bytes: undefined };
        }
      },
    },
    isDirectory: true,
    skipped,
    problems: problemsOf(files),
    [Symbol.asyncDispose]: close,
  };
}

/** A file that has its bytes elsewhere than under its path. */
interface Loose {
  readonly from: string;
  /** What tells it from others of its name. */
  readonly apart: string;
  readonly source: Source;
}

/** One file, or a directory of those that have one name. */
function looseFiles(name: string, files: readonly Loose[], close: () => Promise<void> = async () => {}): Named {
  const isDirectory = files.length > 1;
  return {
    name,
    files: files.map(({ from, apart, source }) => ({ from, below: isDirectory ? [apart] : [], bytes: () => written(source) })),
    isDirectory,
    skipped: NOTHING,
    problems: [],
    [Symbol.asyncDispose]: close,
  };
}

/** Holes stay holes. */
async function* written(source: Source): AsyncGenerator<Written, void> {
  let at = 0;
  for (const { offset, length, source: from, at: start } of extentsOf(source)) {
    if (offset > at) yield offset - at;
    yield* pieces({ size: length, read: async (skip, count, into) => await from.read(start + skip, count, into) });
    at = offset + length;
  }
  if (source.size > at) yield source.size - at;
}

/** Files that had lost their name while they were open: deleted ones, and those that CRIU gave another. Several may have had one path. */
async function findOpen(archive: Archive, wanted: string, signal: AbortSignal): Promise<Named | undefined> {
  const commons = commonsOf(archive);
  const table = await attempt(() => {}, commons.files);
  const contents = new Contents(archive, commons, undefined, signal);
  const found = new Map<string, Loose>();
  for (const [fileId, { kind, id }] of table?.remaps ?? []) {
    if (kind === "process" || table?.files.get(fileId)?.name !== wanted || found.has(`${kind} ${id}`)) continue;
    const content = await contents.of(fileId);
    if (content === undefined) continue;
    const apart = kind === "ghost" ? posix.basename(content.member, ".img") : posix.basename(table.files.get(id)?.name ?? String(id));
    found.set(`${kind} ${id}`, { from: kind === "ghost" ? `${wanted} (deleted)` : wanted, apart, source: content.source });
  }
  const close = async (): Promise<void> => await contents[Symbol.asyncDispose]();
  if (found.size === 0) {
    await close();
    return undefined;
  }
  return looseFiles(posix.basename(wanted), [...found.values()], close);
}

/** By name, or by inode: several may have one name. */
async function findMemfd(archive: Archive, wanted: string, signal: AbortSignal): Promise<Named> {
  const commons = commonsOf(archive);
  const { files } = await commons.files();
  const contents = new Contents(archive, commons, await pageSize(archive), signal);
  const inode = /^memfd:\[(\d+)\]$/.exec(wanted)?.[1];
  const found = new Map<bigint, Loose>();
  for (const { id, type, name, shmid } of files.values()) {
    if (type !== "memfd" || shmid === undefined || found.has(shmid)) continue;
    if (name !== wanted && String(shmid) !== inode) continue;
    const content = await contents.of(id);
    if (content !== undefined) found.set(shmid, { from: name, apart: String(shmid), source: content.source });
  }
  if (found.size === 0) throw noSuch(say`there is no ${wanted} in this checkpoint`);
  return looseFiles(`memfd-${[...found.values()][0]?.from.slice("memfd:".length).replaceAll("/", "_") ?? ""}`, [...found.values()]);
}

function noSuch(message: ReturnType<typeof say>): UserError {
  return new UserError({
    reason: "NotInArchive",
    message,
    fix: say`${command`kubectl checkpoint inspect FILE`} --files --ipc lists what there is`,
  });
}

async function findSegment(archive: Archive, wanted: string): Promise<Named> {
  const { segments } = await systemVIpc(archive);
  const segment = segments.find(({ id, key }) => String(id) === wanted || key === wanted.toLowerCase());
  if (segment === undefined) throw noSuch(say`no System V segment ${wanted} in the archive`);
  const { id, bytes, data } = segment;
  const size = (await pageSize(archive)) ?? 4096;
  const pages = data === undefined ? await commonsOf(archive).shared(BigInt(id), size) : undefined;
  const source = data ?? (pages && sharedSource(pages, bytes, size));
  if (source === undefined) throw noSuch(say`the pages of System V segment ${wanted} are not in the archive`);
  return looseFiles(`sysv-${id}`, [{ from: `sysv:${id}`, apart: "", source }]);
}

function inVolume(wanted: string, { path, kernel = false }: Mounted, isCopied: boolean): never {
  throw new UserError({
    reason: "NotInArchive",
    message: say`${wanted} is not in the archive`,
    why: kernel
      ? say`it is in a file system of the kernel's, mounted at ${path}: those are not in an archive`
      : isCopied
        ? say`the volume mounted at ${path} was copied, and does not have it`
        : say`it is in a volume, mounted at ${path}: volumes are not in an archive`,
  });
}

function absent(wanted: string, { deleted }: RootfsChange, mount: Mounted | undefined): never {
  if (deleted.has(wanted)) throw new UserError({ reason: "Deleted", message: say`${wanted} was deleted in the container` });
  throw new UserError({
    reason: "NotInArchive",
    message: say`${wanted} is not in the archive`,
    why:
      mount === undefined
        ? "an archive has the files that the container changed, not those of its image"
        : say`${mount.member ?? "a volume"}, which was mounted at ${mount.path}, does not have it`,
  });
}
