import { posix } from "node:path";
import type { Archive, Member } from "../archive/archive.ts";
import { engineOf } from "../archive/engines/engine.ts";
import type { VolumeMount } from "../archive/engines/info.ts";
import { filesAt, rootfsChange, type ContainerFiles, type RootfsChange } from "../archive/rootfs.ts";
import { pieces } from "../archive/sources.ts";
import { UserError } from "../model/error.ts";
import type { Source } from "../model/source.ts";
import { newDirectory, pathBelow, placeFor, writeNew } from "./destination.ts";
import type { Extracted } from "./extract-memory.ts";

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
  readonly open: () => Source;
}

/**
 * Finds what PATH names: an absolute path is one in the container, anything else a member of the archive.
 * Throws a UserError that says why the archive does not have it.
 */
export async function find(archive: Archive, path: string, signal: AbortSignal): Promise<Named> {
  if (!path.startsWith("/")) return await findMember(archive, path, signal);
  const wanted = posix.join(path, "/").slice(0, -1);
  for (const { mount, member } of await mountedArchives(archive, wanted)) {
    const named = await lookUp(await filesAt(archive, member, mount, signal), wanted, mount);
    if (named !== undefined) return named;
  }
  const change = await rootfsChange(archive, signal);
  const named = await lookUp(change, wanted, "");
  if (named !== undefined) return named;
  throw await absent(archive, wanted, change);
}

async function findMember(archive: Archive, path: string, signal: AbortSignal): Promise<Named> {
  const wanted = posix.join(path, "/").slice(0, -1);
  const files: Files = { members: archive.members, open: (name) => archive.open(name), [Symbol.asyncDispose]: async () => {} };
  const named = await lookUp(files, wanted, undefined);
  if (named !== undefined) return named;
  await using change = await rootfsChange(archive, signal);
  throw new UserError({
    reason: "NotInArchive",
    message: `the archive has no member ${path}`,
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
  const member = files.members.get(wanted);
  const name = posix.basename(wanted) || "rootfs";
  if (member !== undefined && member.type !== "directory") {
    const file = { from: wanted, below: [], open: () => files.open(wanted) };
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
      .map(([path]) => ({ from: path, below: path.slice(prefix.length).split("/"), open: () => files.open(path) })),
    isDirectory: true,
    leftOut: below.filter(([, { type }]) => type !== "file").map(([, other]) => other),
    [Symbol.asyncDispose]: close,
  };
}

/** Archives inside the archive that hold what was mounted where `wanted` is, the innermost mount first. */
async function mountedArchives(archive: Archive, wanted: string): Promise<{ mount: string; member: string }[]> {
  const volumes = await volumesOf(archive);
  const mounts = volumes.flatMap(({ path, member }) => (member === undefined ? [] : { mount: path.replace(/\/+$/, ""), member }));
  if (archive.members.has(SHM)) mounts.push({ mount: "/dev/shm", member: SHM });
  return mounts.filter(({ mount }) => `${wanted}/`.startsWith(`${mount}/`)).sort((a, b) => b.mount.length - a.mount.length);
}

/** None where the engine's own files cannot be read: that need not keep anyone from the others. */
async function volumesOf(archive: Archive): Promise<readonly VolumeMount[]> {
  try {
    return (await engineOf(archive)).volumes ?? [];
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

/** Podman's copy of /dev/shm. */
const SHM = "devshm-checkpoint.tar";

async function absent(archive: Archive, wanted: string, change: RootfsChange): Promise<UserError> {
  await change[Symbol.asyncDispose]();
  if (change.deleted.has(wanted)) return new UserError({ reason: "Deleted", message: `${wanted} was deleted in the container` });
  const volumes = await volumesOf(archive);
  const volume = volumes.find(({ path }) => `${wanted}/`.startsWith(`${path}/`));
  return new UserError({
    reason: "NotInArchive",
    message: `${wanted} is not in the archive`,
    why:
      volume === undefined
        ? "an archive has the files that the container changed, not those of its image"
        : `it is in a volume, mounted at ${volume.path}: volumes are not in an archive`,
  });
}

/**
 * Writes what was found below `to`, or here: new files of mode 0600, a directory as a new directory. What goes wrong
 * with one file of a directory is yielded, and the others are written.
 */
export async function* writeNamed(named: Named, to: string | undefined, signal: AbortSignal): AsyncGenerator<Extracted | UserError, void> {
  const place = await placeFor(named.name, to);
  if (named.isDirectory) await newDirectory(place);
  for (const { from, below, open } of named.files) {
    try {
      const path = below.length === 0 ? place : await pathBelow(place, below);
      yield { from, path, bytes: await writeNew(path, pieces(open()), signal) };
    } catch (error) {
      if (!(error instanceof UserError) || !named.isDirectory) throw error;
      yield error;
    }
  }
}
