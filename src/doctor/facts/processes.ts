import type { Container } from "../../cluster/pods.ts";
import type { Helpers } from "../../helper/helpers.ts";

/** What the processes of a container do and have open, as /proc of the node has it. */
export interface Processes {
  /** What the helper image has: without readlink open files are not known, without stat the sizes of deleted ones. */
  readonly looked: ReadonlySet<string>;
  /** Process 1 and its descendants: only they are in an archive. */
  readonly own: readonly ProcessFacts[];
  /** Of kubectl exec and its kind: the runtime started them beside process 1. */
  readonly others: readonly ProcessFacts[];
  readonly tcp: readonly TcpSocket[];
  /** Pairs of inodes of Unix sockets that are connected, in the container's network namespaces; empty where the node has no ss. */
  readonly unix: readonly (readonly [inode: string, peer: string])[];
  readonly mounts: readonly { readonly path: string; readonly type: string }[];
  /** Its cgroup is frozen. */
  readonly frozen: boolean;
}

export interface ProcessFacts {
  /** On the node. */
  readonly pid: string;
  /** In the PID namespace of the container's process 1. */
  readonly inside: string;
  readonly parent: string;
  readonly name: string;
  /** argv[0]; empty where it has none. */
  readonly arg: string;
  /** Of its executable; undefined where that is not known. */
  readonly exe: string | undefined;
  /** "R", "S", "D", … */
  readonly state: string;
  /** 0, 1 (strict), 2 (a filter). */
  readonly seccomp: number;
  /** Of its main thread: the number of the system call that it waits in; undefined where it runs. */
  readonly call: number | undefined;
  readonly deleted: readonly DeletedFile[];
  /** Sockets, devices and other special files that are open or mapped. */
  readonly files: ReadonlySet<string>;
  /** A file handle's type of each inotify and fanotify watch, in hexadecimal; "none" where the file has no handle. */
  readonly watches: readonly string[];
  readonly locks: number;
  readonly pidNamespace: string | undefined;
  readonly userNamespace: string | undefined;
}

/** A deleted file that is open or mapped. */
export interface DeletedFile {
  readonly how: "exe" | "fd" | "map";
  readonly path: string;
  /** Undefined where the helper image has no stat. */
  readonly bytes: number | undefined;
  /** Names that it still has elsewhere. */
  readonly names: number | undefined;
}

export interface TcpSocket {
  /** As /proc/net/tcp has it: "01" is established, "0A" listens. */
  readonly state: string;
  readonly inode: string;
  /** Of a socket that listens: connections that nobody has accepted. */
  readonly waiting: number;
}

/** Of many containers of one node, by their IDs; those without a process are not among them. Throws a UserError where the node cannot be asked. */
export async function askProcesses(helpers: Helpers, node: string, ids: readonly string[]): Promise<Map<string, Processes>> {
  if (ids.length === 0) return new Map();
  await using host = helpers.directory(node, "host", "/");
  return parseProcesses(await host.lines(["processes", ...ids]));
}

/** In hexadecimal, without the runtime's name; undefined before its first start. */
export function idOf({ containerID }: Container): string | undefined {
  return /^[a-z-]+:\/\/([0-9a-f]+)$/.exec(containerID)?.[1];
}

/** Of the operation processes: a word and a value a line. */
export function parseProcesses(lines: readonly string[]): Map<string, Processes> {
  const looked = new Set(lines.flatMap((line) => /^looked (.*)$/.exec(line)?.[1] ?? []));
  const parts = new Map<string, string[][]>();
  let current: string[] | undefined;
  for (const line of lines) {
    const id = /^container ([0-9a-f]+)$/.exec(line)?.[1];
    if (id === undefined) current?.push(line);
    else {
      current = [];
      parts.set(id, [...(parts.get(id) ?? []), current]);
    }
  }
  return new Map([...parts].map(([id, processes]) => [id, ofContainer(looked, processes)]));
}

function ofContainer(looked: ReadonlySet<string>, parts: readonly (readonly string[])[]): Processes {
  const read = parts.map(readProcess);
  // The runtime started process 1 and what kubectl exec brings: no other process of the container is their parent. Process 1 came first, also
  // where the containers of a pod share a PID namespace, and none of them is 1.
  const pids = new Set(read.map(({ pid }) => pid));
  const eldest = read
    .filter(({ parent }) => !pids.has(parent))
    .toSorted((one, other) => Number(one.ids.at(-1)) - Number(other.ids.at(-1)))[0];
  // A process may have namespaces of its own below the container's.
  const depth = (eldest?.ids.length ?? 0) - 1;
  const all = read.map(({ ids, ...process }) => ({ ...process, inside: ids[depth] ?? ids.at(-1) ?? "" }));
  const first = all.find(({ pid }) => pid === eldest?.pid);
  const own = new Set(first === undefined ? [] : [first.pid]);
  for (let before = -1; before !== own.size;) {
    before = own.size;
    for (const { pid, parent } of all) if (own.has(parent)) own.add(pid);
  }
  const lines = parts.flat();
  const mounts = values(lines, "mount").map((line) => line.split(" "));
  return {
    looked,
    own: all.filter(({ pid }) => own.has(pid)).toSorted((one, other) => Number(other === first) - Number(one === first)),
    others: all.filter(({ pid }) => !own.has(pid)),
    tcp: values(lines, "tcp").flatMap(readTcp),
    unix: values(lines, "unix").flatMap((line) => {
      const [inode = "", peer = ""] = line.split(" ");
      return /^[1-9]\d*$/.test(inode) && /^\d+$/.test(peer) ? [[inode, peer] as const] : [];
    }),
    mounts: mounts.map(([path = "", type = ""]) => ({ path, type })),
    frozen: lines.includes("frozen"),
  };
}

function values(lines: readonly string[], word: string): string[] {
  return lines.flatMap((line) => (line.startsWith(`${word} `) ? line.slice(word.length + 1) : []));
}

/** With its ids in each PID namespace, the node's first. */
function readProcess(lines: readonly string[]): Omit<ProcessFacts, "inside"> & { readonly ids: readonly string[] } {
  const one = (word: string): string | undefined => values(lines, word)[0];
  const pid = one("process") ?? "";
  const call = values(lines, "call").find((line) => line.startsWith(`${pid} `));
  const number = Number(call?.slice(pid.length + 1));
  return {
    pid,
    ids: one("NSpid:")?.trim().split(/\s+/) ?? [],
    parent: one("PPid:")?.trim() ?? "",
    name: one("name") ?? "",
    arg: one("arg") ?? "",
    exe: one("exe"),
    state: one("State:")?.trim().charAt(0) ?? "",
    seccomp: Number(one("Seccomp:") ?? 0),
    call: Number.isSafeInteger(number) && number >= 0 ? number : undefined,
    deleted: values(lines, "deleted").flatMap(readDeleted),
    files: new Set(values(lines, "file")),
    watches: values(lines, "watch"),
    locks: lines.filter((line) => line === "lock").length,
    pidNamespace: one("ns-pid"),
    userNamespace: one("ns-user"),
  };
}

/** `2097152 0 fd /tmp/x (deleted)`; "-" where it could not be asked. */
function readDeleted(line: string): DeletedFile[] {
  const [, bytes = "", names = "", how, path = ""] = /^(\d+|-) (\d+|-) (exe|fd|map) (.*) \(deleted\)$/s.exec(line) ?? [];
  if (how === undefined) return [];
  const count = (digits: string): number | undefined => (digits === "-" ? undefined : Number(digits));
  return [{ how: how as DeletedFile["how"], path, bytes: count(bytes), names: count(names) }];
}

function readTcp(line: string): TcpSocket[] {
  const [state = "", inode = "", queues = ""] = line.split(" ");
  if (!/^[0-9A-F]{2}$/.test(state)) return [];
  return [{ state, inode, waiting: Number.parseInt(queues.split(":")[1] ?? "0", 16) || 0 }];
}
