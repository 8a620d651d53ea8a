import type { Archive } from "../archive/archive.ts";
import { allEntries } from "../criu/entries.ts";
import { MntEntrySchema } from "../criu/gen/mounts_pb.ts";
import { mounts, type Mount } from "../criu/mounts.ts";

/**
 * What is put in a mount's place. "root": the root file system; "empty": an empty file, of masked paths; "device": the pod's own;
 * "cgroup": a directory for all controllers; "auto": a file or a directory, as the root file system has it; "inside": the restored
 * processes mount it themselves.
 */
export type StandIn = "auto" | "cgroup" | "device" | "directory" | "empty" | "file" | "inside" | "root";

export interface PlannedMount {
  readonly id: string;
  readonly parent: string;
  readonly path: string;
  /** The path without its parent's, relative. */
  readonly below: string;
  readonly kind: StandIn;
  /** What CRIU calls it, where it came from outside; each only once. */
  readonly key: string | undefined;
}

const DEVICES = /^\/dev\/(null|zero|full|random|urandom|tty)$/;
const FILES = new Set(["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log", "/run/.containerenv"]);

/** All mounts, parents first. Throws a UserError where an image is damaged. */
export async function plannedMounts(archive: Archive): Promise<PlannedMount[]> {
  const all = await mounts(archive);
  const keys = await externalKeys(archive);
  const ids = new Map(all.map((mount) => [mount.id, mount]));
  const root = rootOf(all, ids);
  const kindOf = (mount: Mount): StandIn => (mount.id === root?.id ? "root" : standIn(mount, keys.has(mount.id)));
  const owners = keyOwners(all, keys, kindOf);
  return parentsFirst(all, ids).map((mount) => {
    const { id, parent, path } = mount;
    const above = ids.get(parent)?.path ?? "/";
    const below = path.startsWith(above) ? path.slice(above.length) : path;
    const key = keys.get(id);
    const isOwner = key !== undefined && owners.get(key) === id && id !== root?.id;
    return { id, parent, path, below: below.replace(/^\/+/, ""), kind: kindOf(mount), key: isOwner ? key : undefined };
  });
}

/**
 * By key, the mount whose stand-in all mounts of that key get. In a user namespace runc binds the node's devices, and masks paths with the same
 * /dev/null: then the device stands in for both.
 */
function keyOwners(all: readonly Mount[], keys: ReadonlyMap<string, string>, kindOf: (mount: Mount) => StandIn): Map<string, string> {
  const owners = new Map<string, string>();
  const devicesFirst = all.toSorted((a, b) => Number(kindOf(b) === "device") - Number(kindOf(a) === "device"));
  for (const { id } of devicesFirst) {
    const key = keys.get(id);
    if (key !== undefined && !owners.has(key)) owners.set(key, id);
  }
  return owners;
}

function rootOf(all: readonly Mount[], ids: ReadonlyMap<string, Mount>): Mount | undefined {
  return all.find(({ path, parent }) => path === "/" && !ids.has(parent)) ?? all.find(({ path }) => path === "/");
}

/** The ID of the mount of the root file system. */
export async function rootMount(archive: Archive): Promise<string | undefined> {
  const all = await mounts(archive);
  return rootOf(all, new Map(all.map((mount) => [mount.id, mount])))?.id;
}

function standIn({ path, root, type }: Mount, external: boolean): StandIn {
  if (!external) return "inside";
  if (type === "cgroup" || type === "cgroup2") return "cgroup";
  if (DEVICES.test(path)) return "device";
  if (root.endsWith("/.empty-directory")) return "directory";
  if (root.endsWith("/null")) return "empty";
  if (FILES.has(path)) return "file";
  return "auto";
}

/** How CRIU wants mounts from outside to be named (`--external mnt[KEY]:PATH`), by their ids. */
async function externalKeys(archive: Archive): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  for (const name of archive.members.keys()) {
    const file = /^checkpoint\/(mountpoints-\d+\.img)$/.exec(name)?.[1];
    if (file === undefined) continue;
    for await (const { mntId, extKey, extMount, mountpoint } of allEntries(archive, file, MntEntrySchema)) {
      const key = extKey !== "" ? extKey : extMount ? mountpoint : "";
      if (key !== "") keys.set(String(mntId), key);
    }
  }
  return keys;
}

/** An archive may be forged: a ring of parents ends where it began. */
function parentsFirst(all: readonly Mount[], ids: ReadonlyMap<string, Mount>): Mount[] {
  const sorted = new Set<Mount>();
  for (const mount of all) {
    const way: Mount[] = [];
    for (let at: Mount | undefined = mount; at !== undefined && !sorted.has(at) && !way.includes(at); at = ids.get(at.parent)) way.push(at);
    for (const one of way.toReversed()) sorted.add(one);
  }
  return [...sorted];
}
