import type { Archive } from "../../../archive/archive.ts";
import { descriptors, type Descriptor } from "../../../criu/files/descriptors.ts";
import type { OpenFile, Socket } from "../../../criu/files/file.ts";
import { queues, type Queues } from "../../../criu/files/queues.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { attempt, notThere, type Tell } from "../../../criu/problems.ts";
import type { Process } from "../../../criu/processes.ts";
import type { Holder } from "../../../model/inspection.ts";

/** Who has which file open, and what hangs together: pipes by their ends, sockets by their connections. */
export interface Connections {
  readonly table: FileTable;
  /** Undefined where they cannot be read. */
  readonly queues: Queues | undefined;
  /** By pid; nothing for a process whose descriptors cannot be read. */
  readonly descriptors: ReadonlyMap<number, readonly Descriptor[]>;
  /** By file id. */
  readonly holders: ReadonlyMap<number, readonly Holder[]>;
  /** Who has the other ends of a pipe or FIFO, or the other end of a socket's connection, in this checkpoint. */
  others(file: OpenFile): readonly Holder[];
}

const WRITE_ONLY = 1;

/** Processes that forked share their descriptors: all of each other's would be too much. */
const MOST_OTHERS = 16;

/** What cannot be read goes to `tell`, and is left out. Throws a UserError where there is too much of it. */
export async function connections(archive: Archive, processes: readonly Process[], table: FileTable, tell: Tell): Promise<Connections> {
  const byPid = new Map<number, readonly Descriptor[]>();
  const holders = new Map<number, Holder[]>();
  for (const { pid, ids } of processes) {
    const all = ids && (await attempt(tell, async () => await descriptors(archive, ids.filesId)));
    if (all === undefined) continue;
    archive.budget.keep(`checkpoint/fdinfo-${ids?.filesId}.img`, ITEMS_PER_DESCRIPTOR * all.length);
    byPid.set(pid, all);
    for (const { fd, fileId } of all) add(holders, fileId, { pid, fd });
    const lost = all.filter(({ fileId }) => !table.files.has(fileId)).length;
    // Where the whole table cannot be read, that is known.
    if (lost > 0 && table.files.size > 0) tell(notInTable(pid, lost));
  }
  const partners = partnersOf(table);
  const others = (file: OpenFile): Holder[] => {
    const { ids, waiting } = partners(file);
    const backlog = waiting.flatMap((id) => (holders.get(id) ?? []).map((holder) => ({ ...holder, backlog: true as const })));
    return [...ids.flatMap((id) => holders.get(id) ?? []), ...backlog].slice(0, MOST_OTHERS);
  };
  return { table, queues: await attempt(tell, async () => await queues(archive)), descriptors: byPid, holders, others };
}

/** Of each descriptor an answer has two items and their details. */
const ITEMS_PER_DESCRIPTOR = 3;

function notInTable(pid: number, files: number): ReturnType<typeof notThere> {
  return notThere(`${files} of the files that process ${pid} had open are not in checkpoint/files.img`, "the image is incomplete");
}

/** The files at the other end, and listening sockets in whose backlog the other end waits. */
interface Partners {
  readonly ids: readonly number[];
  readonly waiting: readonly number[];
}

const NONE: Partners = { ids: [], waiting: [] };

function partnersOf({ files }: FileTable): (file: OpenFile) => Partners {
  const readers = new Map<number, number[]>();
  const writers = new Map<number, number[]>();
  const unix = new Map<number, number[]>();
  const connected = new Map<string, number[]>();
  /** By protocol and port: those that take what comes from anybody. */
  const open = new Map<string, (readonly [id: number, socket: Socket])[]>();
  for (const { id, pipeId, flags = 0, socket } of files.values()) {
    if (pipeId !== undefined && (flags & 3) !== WRITE_ONLY) add(readers, pipeId, id);
    if (pipeId !== undefined && (flags & 3) !== 0) add(writers, pipeId, id);
    if (socket?.family === "unix") add(unix, socket.inode, id);
    if (socket?.family !== "inet" && socket?.family !== "inet6") continue;
    if (socket.remote !== "") add(connected, pairKey(socket, socket.local, socket.remote), id);
    else if (socket.protocol === "udp" || socket.state === "LISTEN") add(open, portKey(socket, socket.local), [id, socket]);
  }
  const pipePartners = (pipeId: number, mode: number): readonly number[] => {
    // What is open for both is at both ends itself.
    if (mode !== 0 && mode !== WRITE_ONLY) return [...new Set([...(readers.get(pipeId) ?? []), ...(writers.get(pipeId) ?? [])])];
    return (mode === 0 ? writers : readers).get(pipeId) ?? [];
  };
  return ({ pipeId, flags = 0, socket }) => {
    if (pipeId !== undefined) return { ids: pipePartners(pipeId, flags & 3), waiting: [] };
    if (socket?.peer !== undefined) return { ids: unix.get(socket.peer) ?? [], waiting: [] };
    if (socket === undefined || socket.remote === "" || socket.family === "netlink") return NONE;
    const pair = connected.get(pairKey(socket, socket.remote, socket.local));
    if (pair !== undefined) return { ids: pair, waiting: [] };
    const takers = (open.get(portKey(socket, socket.remote)) ?? [])
      .filter(([, { local }]) => takes(local, socket.remote))
      .map(([id]) => id);
    return socket.protocol === "udp" ? { ids: takers, waiting: [] } : { ids: [], waiting: takers };
  };
}

/** Sockets of different network namespaces never meet. */
function pairKey({ protocol, netNamespace }: Socket, from: string, to: string): string {
  return `${protocol} ${netNamespace} ${bare(from)} ${bare(to)}`;
}

function portKey({ protocol, netNamespace }: Socket, endpoint: string): string {
  return `${protocol} ${netNamespace} ${endpoint.slice(endpoint.lastIndexOf(":") + 1)}`;
}

/** Whether a socket that is bound so receives what is sent there. */
function takes(bound: string, to: string): boolean {
  const [own, wanted] = [bare(bound), bare(to)];
  const address = own.slice(0, own.lastIndexOf(":"));
  // An IPv6 one that is bound to no address takes IPv4 too.
  return own === wanted || address === "[::]" || (address === "0.0.0.0" && !wanted.startsWith("["));
}

/** An IPv4 end of an IPv6 socket is the same end for an IPv4 one. */
function bare(endpoint: string): string {
  return endpoint.replace(/^\[::ffff:([\d.]+)\]/, "$1");
}

function add<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
