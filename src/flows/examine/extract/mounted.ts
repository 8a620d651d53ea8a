import { posix } from "node:path";
import type { Archive } from "../../../archive/archive.ts";
import { boundPaths, engineOf } from "../../../archive/engines/engine.ts";
import { mounts } from "../../../criu/mounts.ts";
import { UserError } from "../../../model/error.ts";

/** A place in the container where something is mounted over what the archive has of the place itself. */
export interface Mounted {
  /** Without a slash at its end. */
  readonly path: string;
  /** The archive inside the archive that holds what is mounted there; undefined where none does. */
  readonly member: string | undefined;
  /** One of the kernel's own file systems: there is nothing to keep of it. */
  readonly kernel?: boolean;
}

const KERNEL = new Set(["proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"]);

/** Podman's copy of /dev/shm. */
const SHM = "devshm-checkpoint.tar";

/** Where something is mounted, as far as the archive tells, the innermost first. */
export async function mounted(archive: Archive): Promise<Mounted[]> {
  const found: Mounted[] = (await unless(async () => await boundPaths(archive), [])).map((path) => ({ path, member: undefined }));
  found.push(...((await unless(async () => (await engineOf(archive)).volumes, [])) ?? []));
  if (archive.members.has(SHM)) found.push({ path: "/dev/shm", member: SHM });
  for (const { path, type, device, root, external } of await unless(async () => await mounts(archive), [])) {
    const member = `checkpoint/tmpfs-dev-${device.replace(/^0:/, "")}.tar.gz.img`;
    if (type === "tmpfs" && root === "/" && archive.members.has(member)) found.push({ path, member });
    else if (external || KERNEL.has(type)) found.push({ path, member: undefined, kernel: KERNEL.has(type) });
  }
  const all = found.map((mount) => ({ ...mount, path: posix.join("/", mount.path, "/").slice(0, -1) }));
  const kept = new Set(all.flatMap(({ path, member }) => (member === undefined ? [] : path)));
  return all
    .filter(({ path, member }) => member !== undefined || (path !== "" && !kept.has(path)))
    .sort((a, b) => b.path.length - a.path.length);
}

/** Whether a path is a directory or lies in it. */
export function isWithin(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory}/`);
}

/**
 * Tells of paths below `directory` whether they are mount points, or below one, of what is not in the archive: there is
 * nothing of it but the place.
 */
export function mountPointsBelow(directory: string, all: readonly Mounted[]): (path: string) => boolean {
  const prefixes = all
    .filter(({ path, member }) => member === undefined && path.startsWith(`${directory}/`))
    .map(({ path }) => `${path}/`)
    .sort();
  const outermost: string[] = [];
  for (const prefix of prefixes) if (!prefix.startsWith(outermost.at(-1) ?? "\0")) outermost.push(prefix);
  return (path) => {
    const place = `${path}/`;
    // None begins with another: so only the last that does not come after the place can be where it begins.
    let low = 0;
    let high = outermost.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((outermost[middle] ?? "") <= place) low = middle + 1;
      else high = middle;
    }
    return low > 0 && place.startsWith(outermost[low - 1] ?? "");
  };
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
