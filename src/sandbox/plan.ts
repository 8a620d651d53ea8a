import type { Archive } from "../archive/archive.ts";
import { engineOf } from "../archive/engines/engine.ts";
import { readJson } from "../archive/read.ts";
import { rootfsChange } from "../archive/rootfs.ts";
import type { MountedVolume, VolumesBeside } from "../archive/volumes.ts";
import type { OpenFile } from "../criu/files/file.ts";
import { fileTable, type FileTable } from "../criu/files/table.ts";
import { origin } from "../criu/inventory.ts";
import { systemVIpc } from "../criu/ipc.ts";
import { UserError } from "../model/error.ts";
import { list } from "../model/json.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";
import { externalNamespace, sharedNamespaces, wasInUserNamespace } from "./namespaces.ts";
import { plannedMounts, type PlannedMount } from "./mounts.ts";
import { processorFeatures } from "./processor.ts";
import { profilesOf, withoutProfiles } from "./profiles.ts";
import { tarOf } from "./tar.ts";

/** "none": no interface but the loopback. */
export type SandboxNetwork = "none" | "pod";

export interface SandboxOptions {
  readonly stopped: boolean;
  readonly network: SandboxNetwork;
  /** Where the pod has the archive: sent to it, or mounted as an image. */
  readonly archive: "/work/archive" | "/archive";
  /** The pod's volumes, which are sent to the pod, too. */
  readonly beside: Pick<VolumesBeside, "archive" | "mounts" | "at"> | undefined;
}

export interface SandboxPlan {
  /** What the pod's entry point reads, as a tar archive. */
  readonly files: Buffer;
  /** Of all memory and temporary file systems, in bytes. */
  readonly memory: number;
  /** Whether a terminal stands in for one that the processes had. */
  readonly terminal: boolean;
  /** Ports that restored processes listen on. */
  readonly ports: readonly number[];
  readonly hostname: string;
  /** What will be different, a sentence each. */
  readonly notes: readonly Phrase[];
}

/** What paths and names look like that the entry point, a shell script, is given. */
const PLAIN = /^[\w/.,:;@%+=~^#!$&()[\]{} -]*$/;
/** Devices that a pod has in a user namespace. */
const DEVICES = /^\/dev\/(null|zero|full|random|urandom|tty|console|ptmx|pts\/.*|shm\/.*|mqueue\/.*)$/;
const NAMED = 5;

/**
 * How an archive is restored by CRIU in a sandbox. Throws a UserError SandboxImpossible, with the files and the reasons, where it is known that
 * it cannot be; one of another reason where the archive cannot be read.
 */
export async function sandboxPlan(archive: Archive, options: SandboxOptions, signal: AbortSignal): Promise<SandboxPlan> {
  const info = await engineOf(archive);
  const { hostname = "sandbox", lsm } = await origin(archive);
  const table = await fileTable(archive);
  const mounts = await plannedMounts(archive);
  const change = await changeFiles(archive, signal);
  const holes = holesIn(table, mounts);
  await ensurePossible(archive, table, mounts);
  const open = [...table.files.values()];
  const terminal = open.some(({ type }) => type === "tty");
  const stdio = list(await readJson(archive, "checkpoint/descriptors.json")).map((one) =>
    typeof one === "string" && /^(pipe|socket):\[\d+\]$/.test(one) ? one : "-",
  );
  const words = [
    ...(options.stopped ? ["--leave-stopped"] : []),
    ...(terminal ? ["--shell-job"] : []),
    ...((await externalNamespace(archive, "net")) ? ["--inherit-fd", "fd[9]:extRootNetNS"] : []),
  ];
  const volumes = (info.volumes ?? []).flatMap(({ path, member }) => {
    const mount = mounts.find((one) => one.path === path);
    return member === undefined || mount === undefined ? [] : [`${mount.id}\t${member}`];
  });
  const beside = mountsBeside(options.beside, mounts);
  const filled = new Set(volumes.map((line) => line.split("\t")[0]));
  const { lost, resized } = sortedHoles(
    holes.filter(({ mount }) => !filled.has(mount.id)),
    options.beside,
    beside,
  );
  const files = new Map<string, Buffer>([
    ["archive", text([options.archive])],
    ["network", text([options.network])],
    ["hostname", text([/^[\w.-]{1,63}$/.test(hostname) ? hostname : "sandbox"])],
    ["options", text(words)],
    ["stdio", text(stdio)],
    ["processor", text((await processorFeatures(archive)).map(({ flag }) => flag))],
    ["tar-options", text(wasInUserNamespace(archive) ? ["--no-same-owner"] : [])],
    ["mounts", text(mounts.map(({ id, parent, path, below, kind, key }) => [id, parent, path, below || ".", kind, key ?? "-"].join("\t")))],
    ["holes", text(holes.map(({ mount, size, path }) => [mount.id, size ?? "-", path].join("\t")))],
    ["volumes", text(volumes)],
    ["beside", text([...beside].map(([id, { prefix }]) => `${id}\t${prefix}`))],
    ["deleted", text(change.deleted)],
    ["emptied", text(change.emptied)],
    ...((await externalNamespace(archive, "pid")) ? [["pidns", text([])] as const] : []),
  ]);
  if (lsm !== "none") for (const [file, bytes] of await withoutProfiles(archive)) files.set(`images/${file}`, bytes);
  for (const [file, bytes] of await sharedNamespaces(archive)) files.set(`images/${file}`, bytes);
  return {
    files: tarOf(files),
    memory: memoryOf(archive),
    terminal,
    ports: listening(open),
    hostname,
    notes: [
      ...change.notes,
      ...connections(open),
      ...holeNotes(lost),
      ...resizedNotes(resized),
      ...(wasInUserNamespace(archive)
        ? [
            say`the container had a user namespace of its own: the owners of files that it changed are not restored, they belong to root in the sandbox`,
          ]
        : []),
      ...(lsm === "none" ? [] : [profileNote(lsm, await profilesOf(archive))]),
      ...(terminal ? [say`its terminal is that of the pod: kubectl attach -it`] : []),
    ],
  };
}

function text(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(""));
}

const MODULES = { apparmor: "AppArmor profile", selinux: "SELinux label", unknown: "security profile" } as const;

function profileNote(lsm: keyof typeof MODULES, names: readonly string[]): Phrase {
  const which = names.length === 0 ? say`` : say` (${some(names)})`;
  return say`the ${MODULES[lsm]} of the processes${which} is not restored: they have that of the sandbox pod`;
}

function memoryOf({ members }: Archive): number {
  let bytes = 0;
  for (const [name, { size }] of members) if (/^checkpoint\/(pages-|tmpfs-dev-|ghost-file-)/.test(name)) bytes += size;
  return bytes;
}

/** What the container removed of its image. Names that the entry point cannot be given stay, and are said to. */
async function changeFiles(archive: Archive, signal: AbortSignal) {
  await using change = await rootfsChange(archive, signal);
  const [deleted, emptied] = [[...change.deleted], [...change.opaque]].map((paths) => paths.map((path) => `/${path.replace(/^\/+/, "")}`));
  const odd = [...(deleted ?? []), ...(emptied ?? [])].filter((path) => !isSafe(path));
  return {
    deleted: (deleted ?? []).filter(isSafe),
    emptied: (emptied ?? []).filter(isSafe),
    notes: odd.length === 0 ? [] : [say`${odd.length} files that the container had removed are there again: ${some(odd)}`],
  };
}

function isSafe(path: string): boolean {
  return PLAIN.test(path) && !path.split("/").includes("..") && path !== "/";
}

interface Hole {
  readonly mount: PlannedMount;
  /** Undefined: unknown. */
  readonly size: number | undefined;
  /** Relative to the mount. */
  readonly path: string;
}

/** Files that were open in volumes, whose content is in no archive: CRIU opens files of the same size in their place. */
function holesIn({ files, remaps }: FileTable, mounts: readonly PlannedMount[]): Hole[] {
  const holes = new Map<string, Hole>();
  for (const { id, name, type, details } of files.values()) {
    const mount = innermost(mounts, name);
    if (type !== "file" || mount === undefined || mount.path === name || remaps.has(id)) continue;
    if (mount.kind !== "auto" && mount.kind !== "directory") continue;
    const path = name.slice(mount.path.length).replace(/^\/+/, "");
    const { size } = details;
    holes.set(name, { mount, size: typeof size === "number" ? size : undefined, path });
  }
  return [...holes.values()];
}

/** Volumes beside the archive that are put where they were mounted, by the mount's ID. */
function mountsBeside(beside: SandboxOptions["beside"], mounts: readonly PlannedMount[]): Map<string, MountedVolume> {
  const there = (prefix: string): boolean =>
    [...(beside?.archive.members.keys() ?? [])].some((name) => `${name}/`.startsWith(`${prefix}/`));
  return new Map(
    mounts.flatMap(({ id, path, kind, key }) => {
      const volume = beside?.mounts.find((one) => one.path === path);
      const isPlace = key !== undefined && (kind === "auto" || kind === "directory");
      return volume !== undefined && isPlace && PLAIN.test(volume.prefix) && there(volume.prefix) ? [[id, volume] as const] : [];
    }),
  );
}

/** Open files in volumes that are not there, and those that were copied with another length than they had. */
function sortedHoles(
  holes: readonly Hole[],
  beside: SandboxOptions["beside"],
  filled: ReadonlyMap<string, MountedVolume>,
): { readonly lost: Hole[]; readonly resized: Hole[] } {
  const sizeOf = ({ mount, path }: Hole): number | undefined => {
    const volume = filled.get(mount.id);
    const member = volume === undefined ? undefined : beside?.at(volume).members.get(`${mount.path}/${path}`);
    return member?.type === "file" ? member.size : undefined;
  };
  return {
    lost: holes.filter((hole) => sizeOf(hole) === undefined),
    resized: holes.filter((hole) => hole.size !== undefined && ![undefined, hole.size].includes(sizeOf(hole))),
  };
}

function innermost(mounts: readonly PlannedMount[], path: string): PlannedMount | undefined {
  let found: PlannedMount | undefined;
  for (const mount of mounts) {
    const isIn = mount.path === "/" || path === mount.path || path.startsWith(`${mount.path}/`);
    if (isIn && mount.path.length >= (found?.path.length ?? 0)) found = mount;
  }
  return found;
}

function holeNotes(holes: readonly Hole[]): Phrase[] {
  if (holes.length === 0) return [];
  const names = holes.map(({ mount, path }) => `${mount.path}/${path}`);
  return [
    say`${holes.length === 1 ? "a file" : `${holes.length} files`} in volumes, which are in no archive, read as zeros: ${some(names)}`,
  ];
}

function resizedNotes(holes: readonly Hole[]): Phrase[] {
  if (holes.length === 0) return [];
  const names = some(holes.map(({ mount, path }) => `${mount.path}/${path}`));
  return [say`files in volumes that changed before they were copied have the length that they had at the checkpoint: ${names}`];
}

function connections(open: readonly OpenFile[]): Phrase[] {
  const established = open.flatMap(({ socket }) => (socket?.protocol === "tcp" && socket.state === "ESTABLISHED" ? [socket] : []));
  if (established.length === 0) return [];
  const names = established.map(({ local, remote }) => `${local} to ${remote}`);
  return [say`established TCP connections are closed: ${some(names)}`];
}

function listening(open: readonly OpenFile[]): number[] {
  const ports = open.flatMap(({ socket }) =>
    socket?.protocol === "tcp" && socket.state === "LISTEN" ? Number(/:(\d+)$/.exec(socket.local)?.[1] ?? 0) : [],
  );
  return [...new Set(ports.filter((port) => port > 0))].sort((a, b) => a - b);
}

function some(names: readonly string[]): Phrase {
  const more = names.length > NAMED ? say` and ${names.length - NAMED} more` : say``;
  return say`${joined(names.slice(0, NAMED), ", ")}${more}`;
}

/** What is known to fail is not tried. */
async function ensurePossible(archive: Archive, table: FileTable, mounts: readonly PlannedMount[]): Promise<void> {
  const reasons: Phrase[] = [];
  const odd = mounts.flatMap(({ path, key = "" }) => [path, key]).filter((name) => !PLAIN.test(name));
  if (odd.length > 0) reasons.push(say`names of mounts that cannot be passed on: ${some(odd)}`);
  const devices = [...table.files.values()].filter(({ type, name }) => type === "device" && !DEVICES.test(name)).map(({ name }) => name);
  if (devices.length > 0) reasons.push(say`open devices, which a pod in a user namespace has not: ${some(devices)}`);
  const { segments, semaphores, queues } = await systemVIpc(archive);
  const ipc = [
    ...segments.map(({ key }) => `shared memory ${key}`),
    ...semaphores.map(({ key }) => `semaphores ${key}`),
    ...queues.map(({ key }) => `message queue ${key}`),
  ];
  if (ipc.length > 0) reasons.push(say`System V IPC, whose namespace cannot be restored in a user namespace: ${some(ipc)}`);
  const parents = [...archive.members.keys()].filter((name) => /^checkpoint\/parent(\/|$)/.test(name));
  if (parents.length > 0) reasons.push(say`an incremental checkpoint: memory is in an earlier one, too`);
  if (reasons.length === 0) return;
  throw new UserError({
    reason: "SandboxImpossible",
    message: say`the archive cannot be restored in a sandbox; nothing was created`,
    why: joined(reasons, "; "),
    fix: say`examine it instead: kubectl checkpoint inspect FILE --all`,
  });
}
