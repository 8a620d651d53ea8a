import { existsSync, realpathSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { UserError } from "../model/error.ts";
import { list, object, string } from "../model/json.ts";
import { say } from "../model/phrase.ts";
import type { Member, OpenArchive, OpenOptions } from "./archive.ts";
import type { Budget } from "./budget.ts";
import { openBytes } from "./bytes.ts";
import { openPlain } from "./plain.ts";
import { readRecord, recordedVolumes } from "./record.ts";
import type { ContainerFiles } from "./rootfs.ts";

/** A volume as a container saw it. */
export interface MountedVolume {
  /** In the container, without a slash at its end. */
  readonly path: string;
  /** Members below it are what it had: the volume's name, and a part of the volume where only that was mounted. */
  readonly prefix: string;
}

/** POD.volumes.tar beside an archive: the pod's emptyDirs, each below its name. */
export interface VolumesBeside extends AsyncDisposable {
  readonly path: string;
  /** Of its plain bytes, as the record says. */
  readonly sha256: string;
  readonly archive: OpenArchive;
  /** Of the archive's container. */
  readonly mounts: readonly MountedVolume[];
  /** What was mounted at a place, its paths as the container saw them. Letting go of it does nothing. */
  at(mount: MountedVolume): ContainerFiles;
  /** A member as the container saw it, or volume:NAME/PATH where it did not. */
  shown(member: string): string;
}

/**
 * Opens the volumes that were copied with an archive, as its record says; undefined where none were, and for what is no file. Throws a
 * UserError where they are not beside it, or cannot be read.
 */
export async function openVolumes(file: string, budget: Budget, options: OpenOptions): Promise<VolumesBeside | undefined> {
  if (!existsSync(file)) return undefined;
  const real = realpathSync(file);
  const record = await readRecord(real);
  const [recorded] = recordedVolumes(record);
  if (recorded === undefined) return undefined;
  const { name, plainSha256 } = recorded;
  const item = list(record?.["items"]).map(object)[0];
  const path = join(dirname(real), name);
  if (!existsSync(path)) {
    throw new UserError({
      reason: "VolumesMissing",
      message: say`the volumes that were copied with ${file} are not beside it`,
      fix: say`put ${name} into its directory`,
    });
  }
  const archive = await openTar(path, budget, options);
  const mounts = list(object(item?.["volumes"])["mounts"])
    .map(object)
    .filter(({ container }) => container === item?.["container"])
    .map((mount) => ({
      path: posix.join("/", string(mount["path"]), "/").slice(0, -1),
      prefix: posix.join(string(mount["volume"]), string(mount["subPath"])),
    }))
    // The innermost first.
    .toSorted((a, b) => b.path.length - a.path.length);
  return {
    path,
    sha256: plainSha256,
    archive,
    mounts,
    at: (mount) => filesAt(archive, name, mount),
    shown(member) {
      const mount = mounts.find(({ prefix }) => member.startsWith(`${prefix}/`));
      return mount === undefined ? `volume:${member}` : mount.path + member.slice(mount.prefix.length);
    },
    [Symbol.asyncDispose]: async () => await archive[Symbol.asyncDispose](),
  };
}

async function openTar(path: string, budget: Budget, options: OpenOptions): Promise<OpenArchive> {
  const { source, [Symbol.asyncDispose]: close } = await openPlain(path, options.unlock);
  try {
    return await openBytes(source, path, { ...options, budget, ofFiles: true, counted: false, close });
  } catch (error) {
    await close();
    throw error;
  }
}

function filesAt(archive: OpenArchive, member: string, { path, prefix }: MountedVolume): ContainerFiles {
  const base = `${path}/`;
  const nameOf = (given: string): string => (given === path ? prefix : `${prefix}/${given.slice(base.length)}`);
  return {
    member,
    members: {
      get: (given) => (given === path || given.startsWith(base) ? archive.members.get(nameOf(given)) : undefined),
      *[Symbol.iterator](): Generator<[string, Member]> {
        for (const [name, one] of archive.members) if (name.startsWith(`${prefix}/`)) yield [path + name.slice(prefix.length), one];
      },
    },
    problems: archive.problems,
    leftOut: archive.hostile,
    complete: archive.complete,
    open: (given) => archive.open(nameOf(given)),
    [Symbol.asyncDispose]: async () => {},
  };
}
