import type {
  IdRangeItem,
  Inspection,
  IpcItem,
  IpcObjectItem,
  LockItem,
  MountItem,
  NamespaceItem,
  NetworkItem,
  SeccompFilterItem,
  StatsItem,
  Users,
} from "../../model/inspection.ts";
import { say, type Table } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";
import { holders } from "./descriptors.ts";
import { heading, type View } from "./view.ts";

/** Files that have no name any more, and anonymous ones: what the archive has of them, and who uses them. */
export function* filesViews({ deletedFiles = [], memfds = [], renamedFiles = [] }: Inspection): Generator<View> {
  if (deletedFiles.length > 0) {
    yield heading(say`Deleted files still in use`);
    yield {
      columns: ["PATH", "SIZE", "MODE", "OWNER", "USED BY"],
      rows: deletedFiles.map((file) => [file.path, formatBytes(file.bytes), file.mode, `${file.uid}:${file.gid}`, usersText(file)]),
      narrow: { shorten: [{ PATH: "middle", "USED BY": "end" }] },
    };
  }
  if (memfds.length > 0) {
    yield heading(say`Anonymous files (memfd)`);
    yield {
      columns: ["NAME", "INODE", "SIZE", "SEALS", "USED BY"],
      rows: memfds.map((file) => [file.name, file.inode, formatBytes(file.bytes), file.seals.join(" ") || "-", usersText(file)]),
      narrow: { shorten: [{ SEALS: "end", "USED BY": "end" }, { NAME: "middle" }] },
    };
  }
  if (renamedFiles.length > 0) {
    yield heading(say`Files that CRIU gave another name`);
    yield {
      columns: ["PATH", "NOW", "USED BY"],
      rows: renamedFiles.map((file) => [file.path, file.renamedTo, usersText(file)]),
      narrow: { shorten: [{ PATH: "middle", NOW: "middle", "USED BY": "end" }] },
    };
  }
}

function usersText({ openedBy, runBy, mappedBy }: Users): string {
  const mapped = mappedBy.filter((pid) => !runBy.includes(pid));
  return [
    runBy.length === 0 ? "" : `run by ${runBy.join(", ")}`,
    mapped.length === 0 ? "" : `mapped by ${mapped.join(", ")}`,
    openedBy.length === 0 ? "" : holders(openedBy),
  ]
    .filter((part) => part !== "")
    .join(", ");
}

/** Locks on files. */
export function* locksView(locks: readonly LockItem[] = []): Generator<View> {
  if (locks.length === 0) return;
  yield heading(say`File locks`);
  yield {
    columns: ["PID", "FD", "KIND", "MODE", "BYTES", "PATH"],
    rows: locks.map(({ pid, fd, kind, mode, start, length, path }) => [pid, fd, kind, mode, lockRange(start, length), path ?? "unknown"]),
    narrow: { shorten: [{ PATH: "middle" }] },
  };
}

function lockRange(start: number, length: number): string {
  if (length === 0) return start === 0 ? "all" : `from ${start}`;
  return `${start} to ${start + length - 1}`;
}

/** The namespaces that the processes are in: most have one of each kind. */
export function* namespacesView(namespaces: readonly NamespaceItem[] = []): Generator<View> {
  if (namespaces.length === 0) return;
  yield heading(say`Namespaces`);
  yield {
    columns: ["TYPE", "ID", "PROCESSES", "DETAILS"],
    rows: namespaces.map((one) => [one.type, one.id, one.pids.length, namespaceText(one)]),
    narrow: { shorten: [{ DETAILS: "end" }] },
  };
}

function namespaceText({
  hostname,
  domainname,
  uidMap = [],
  gidMap = [],
  external,
  devices = [],
  monotonicSeconds,
}: NamespaceItem): string {
  const ids = (what: string, { inside, outside, count }: IdRangeItem): string =>
    `${what} ${inside} to ${inside + count - 1} are ${outside} to ${outside + count - 1} on the node`;
  return [
    hostname === undefined ? "" : `host ${hostname}`,
    domainname === undefined || domainname === "" || domainname === "(none)" ? "" : `domain ${domainname}`,
    ...uidMap.map((range) => ids("users", range)),
    ...gidMap.map((range) => ids("groups", range)),
    monotonicSeconds === undefined ? "" : `monotonic clock at ${Math.round(monotonicSeconds)}s`,
    ...devices.map(
      ({ name, type, mac, mtu, up }) => `${name} (${[type, mac, `MTU ${mtu}`, up ? "up" : "down"].filter(Boolean).join(" ")})`,
    ),
    external === undefined ? "" : `from outside: ${external}`,
  ]
    .filter((part) => part !== "")
    .join(", ");
}

/** As the engine writes them. */
export function* networksView(networks: readonly NetworkItem[] = []): Generator<View> {
  if (networks.length === 0) return;
  yield heading(say`Networks`);
  yield {
    columns: ["NETWORK", "INTERFACE", "ADDRESSES", "GATEWAYS", "MAC"],
    rows: networks.map(({ name, interface: device, addresses, gateways, mac }) => [
      name,
      device,
      addresses.join(" "),
      gateways.join(" ") || "-",
      mac ?? "-",
    ]),
  };
}

/** Of lists of system calls, so many names are shown. */
const MOST_CALLS = 24;

/** What seccomp filters answer to system calls; those that they allow are only counted. */
export function* seccompView(filters: readonly SeccompFilterItem[] = []): Generator<View> {
  if (filters.length === 0) return;
  yield heading(say`Seccomp filters`);
  for (const { id, next, instructions, flags, calls } of filters) {
    const before = next === undefined ? "" : `, before filter ${next}`;
    yield say`filter ${id}: ${instructions} instructions${before}${flags.length === 0 ? "" : `, ${flags.join(" ")}`}`;
    if (calls === undefined) yield say`  what it answers cannot be read`;
    for (const [action, names] of Object.entries(calls ?? {})) {
      const some = `${names.slice(0, MOST_CALLS).join(" ")}${names.length > MOST_CALLS ? ` and ${names.length - MOST_CALLS} more` : ""}`;
      yield action === "allow" ? say`  allow: ${names.length} system calls` : say`  ${action}: ${some}`;
    }
  }
}

/** System V IPC. */
export function* ipcView(ipc: IpcItem | undefined): Generator<View> {
  yield heading(say`System V IPC`);
  if (ipc === undefined) yield say`not readable`;
  else if (ipc.segments.length + ipc.semaphores.length + ipc.queues.length === 0) yield say`none`;
  else yield ipcTable(ipc);
}

function ipcTable({ segments, semaphores, queues }: IpcItem): Table {
  const row = (kind: string, { id, key, uid, gid, mode }: IpcObjectItem, details: string): Table["rows"][number] => [
    kind,
    id,
    key,
    `${uid}:${gid}`,
    mode,
    details,
  ];
  return {
    columns: ["KIND", "ID", "KEY", "OWNER", "MODE", "DETAILS"],
    rows: [
      ...segments.map((one) =>
        row(
          "shared memory",
          one,
          `${formatBytes(one.bytes)}, ${one.mappedBy.length === 0 ? "attached to no process" : `attached to process ${one.mappedBy.join(", ")}`}`,
        ),
      ),
      ...semaphores.map((one) => row("semaphores", one, `values ${one.values.join(" ")}`)),
      ...queues.map((one) =>
        row("message queue", one, one.messages.map(({ type, bytes }) => `type ${type} of ${bytes} bytes`).join(", ") || "no messages"),
      ),
    ],
  };
}

/** The mounts of the container, by path; those of each mount namespace together where there are several. */
export function* mountsView(mounts: readonly MountItem[] | undefined): Generator<View> {
  if (mounts === undefined) return;
  const namespaces = Map.groupBy(mounts, ({ namespace }) => namespace);
  if (namespaces.size === 0) yield heading(say`Mounts`);
  for (const [namespace, own] of namespaces) {
    yield heading(namespaces.size > 1 ? say`Mounts in namespace ${namespace}` : say`Mounts`);
    yield mountTable(own);
  }
}

function mountTable(mounts: readonly MountItem[]): Table {
  const sorted = [...mounts].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : Number(a.id) - Number(b.id)));
  return {
    columns: ["PATH", "TYPE", "CONTENT", "OPTIONS", "SOURCE"],
    rows: sorted.map(({ path, type, source, root, external, options }) => [
      path,
      type,
      external ? "outside" : "inside",
      options.join(","),
      root === "/" ? source : `${source}[${root}]`,
    ]),
    narrow: { shorten: [{ OPTIONS: "end", SOURCE: "middle" }, { PATH: "middle" }] },
  };
}

/** Counts and times that CRIU recorded. */
export function* statsView(stats: StatsItem | undefined): Generator<View> {
  yield heading(say`CRIU's statistics`);
  if (stats === undefined) yield say`not in the archive`;
  else yield table(stats);
}

function table(stats: StatsItem): Table {
  const seconds = (value: number): string => `${value.toFixed(6)}s`;
  return {
    columns: ["WHAT", "VALUE"],
    rows: [
      ["time to freeze the processes", seconds(stats.freezingSeconds)],
      ["time the processes were frozen", seconds(stats.frozenSeconds)],
      ["time to dump their memory", seconds(stats.memoryDumpSeconds)],
      ["time to write their memory", seconds(stats.memoryWriteSeconds)],
      ["pages scanned", stats.pagesScanned],
      ["pages written", stats.pagesWritten],
      ["pages in an earlier checkpoint", stats.pagesSkippedParent],
      ["pages left on the node", stats.pagesLazy],
      ["shared pages scanned", stats.sharedPagesScanned],
      ["shared pages written", stats.sharedPagesWritten],
      ["shared pages in an earlier checkpoint", stats.sharedPagesSkippedParent],
    ],
  };
}
