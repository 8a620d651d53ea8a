import { posix } from "node:path";
import type { Archive } from "../archive/archive.ts";

import { boundPaths, engineOf } from "../archive/engines/engine.ts";
import { mounts, type Mount } from "./mounts.ts";
import { attempt } from "./problems.ts";

/** A place in the container where something is mounted over what the archive has of the place itself. */
export interface Mounted {
  /** Without a slash at its end. */
  readonly path: string;
  /** The archive inside the archive that holds what is mounted there; undefined where none does. */
  readonly member: string | undefined;
  /** One of the kernel's own file systems: there is nothing to keep of it. */
  readonly kernel?: boolean;
  /** In mountpoints-N.img, where it is told there. */
  readonly mountId?: string;
  /** A mount namespace that is not the container's, in which alone it is mounted. */
  readonly namespace?: string;
}

const KERNEL = new Set(["proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"]);

/** Podman's copy of /dev/shm. */
const SHM = "devshm-checkpoint.tar";

/** Where something is mounted, as far as the archive tells, the innermost first; of the container's own mount namespace before others. */
export async function mounted(archive: Archive): Promise<Mounted[]> {
  const found: Mounted[] = ((await tried(async () => await boundPaths(archive))) ?? []).map((path) => ({ path, member: undefined }));
  found.push(...((await tried(async () => (await engineOf(archive)).volumes)) ?? []));
  if (archive.members.has(SHM)) found.push({ path: "/dev/shm", member: SHM });
  const told = (await tried(async () => await mounts(archive))) ?? [];
  const own = ownNamespace(told);
  for (const mount of told) {
    const { path, type, root, external, id, namespace } = mount;
    const more = { mountId: id, ...(namespace === own ? {} : { namespace }) };
    const member = tmpfsMember(mount);
    if (type === "tmpfs" && root === "/" && archive.members.has(member)) found.push({ path, member, ...more });
    else if (external || KERNEL.has(type)) found.push({ path, member: undefined, kernel: KERNEL.has(type), ...more });
  }
  const all = found.map((mount) => ({ ...mount, path: posix.join("/", mount.path, "/").slice(0, -1) }));
  const kept = new Set(all.flatMap(({ path, member }) => (member === undefined ? [] : path)));
  return all
    .filter(({ path, member }) => member !== undefined || (path !== "" && !kept.has(path)))
    .sort((a, b) => Number(a.namespace !== undefined) - Number(b.namespace !== undefined) || b.path.length - a.path.length);
}

/** CRIU numbers the namespaces of the first process first. */
export function ownNamespace(all: readonly Mount[]): string | undefined {
  const [first] = [...new Set(all.map(({ namespace }) => namespace))].sort((a, b) => Number(a) - Number(b));
  return first;
}

/** Where CRIU puts the content of a tmpfs. */
export function tmpfsMember({ device }: Pick<Mount, "device">): string {
  return `checkpoint/tmpfs-dev-${device.replace(/^0:/, "")}.tar.gz.img`;
}

/** Whether a path is a directory or lies in it. */
export function isWithin(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory}/`);
}

/** What cannot be read here need not keep anyone from what can. */
async function tried<T>(read: () => Promise<T>): Promise<T | undefined> {
  return await attempt(() => {}, read);
}
