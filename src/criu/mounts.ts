import type { Archive } from "../archive/archive.ts";
import { allEntries } from "./entries.ts";
import { imageName } from "./image.ts";
import { MntEntrySchema, type MntEntry } from "./gen/mounts_pb.ts";

/** A mount of the container. */
export interface Mount {
  readonly id: string;
  readonly parent: string;
  /** Where it is, inside the container. */
  readonly path: string;
  /** "proc", "tmpfs", "overlay", …; "bind" where the mount was brought in from outside. */
  readonly type: string;
  readonly source: string;
  /** Which part of its file system is mounted. */
  readonly root: string;
  /** "ro" or "rw" first, as mount prints them. */
  readonly options: readonly string[];
  /** Of its file system. */
  readonly superOptions: readonly string[];
  /** Brought in from outside: its content is not in the archive. */
  readonly external: boolean;
  /** Its device, as "major:minor". */
  readonly device: string;
  /** Which mount namespace it is in: most containers have one. */
  readonly namespace: string;
}

/** A mount has many fields, and a document has it again. */
const MOUNT_ITEMS = 4;

/** Of all mount namespaces, in CRIU's order. Throws a UserError where an image is damaged. */
export async function mounts(archive: Archive): Promise<Mount[]> {
  const all: Mount[] = [];
  for (const name of archive.members.keys()) {
    const namespace = /^checkpoint\/(mountpoints-(\d+)\.img)$/.exec(name);
    if (namespace?.[1] === undefined || namespace[2] === undefined) continue;
    for await (const entry of allEntries(archive, namespace[1], MntEntrySchema)) {
      const made = mount(entry, namespace[2]);
      archive.budget.keep(imageName(namespace[1]), MOUNT_ITEMS + made.options.length + made.superOptions.length);
      all.push(made);
    }
  }
  return all;
}

function mount(entry: MntEntry, namespace: string): Mount {
  const { mntId, parentMntId, mountpoint, source, root, flags, options, rootDev, fstype, fsname, extMount, extKey } = entry;
  const external = extMount || extKey !== "";
  return {
    id: String(mntId),
    parent: String(parentMntId),
    path: mountpoint.startsWith("/") ? mountpoint : `/${mountpoint.replace(/^\.\/?/, "")}`,
    type: FILE_SYSTEMS[fstype] ?? (fsname || (external ? "bind" : `unknown (${fstype})`)),
    source,
    root,
    options: [flags & 1 ? "ro" : "rw", ...FLAGS.filter(([bit]) => flags & bit).map(([, name]) => name)],
    superOptions: options === "" ? [] : options.split(","),
    external,
    device: `${rootDev >>> 20}:${rootDev & 0xfffff}`,
    namespace,
  };
}

/** MS_* of sys/mount.h. */
const FLAGS = [
  [0x2, "nosuid"],
  [0x4, "nodev"],
  [0x8, "noexec"],
  [0x10, "sync"],
  [0x400, "noatime"],
  [0x800, "nodiratime"],
  [0x200000, "relatime"],
] as const;

/** CRIU's numbers; 0 is any other file system. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  1: "proc",
  2: "sysfs",
  3: "devtmpfs",
  4: "binfmt_misc",
  5: "tmpfs",
  6: "devpts",
  7: "simfs",
  8: "pstore",
  9: "securityfs",
  10: "fusectl",
  11: "debugfs",
  12: "cgroup",
  13: "aufs",
  14: "mqueue",
  15: "fuse",
  17: "overlay",
  18: "autofs",
  19: "tracefs",
  23: "cgroup2",
};
