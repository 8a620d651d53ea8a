import type { Archive } from "../../../archive/archive.ts";
import { descriptors, type Descriptor } from "../../../criu/files/descriptors.ts";
import type { OpenFile } from "../../../criu/files/file.ts";
import { queues, type Queues } from "../../../criu/files/queues.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import type { Spend } from "../../../criu/limits.ts";
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

/** Throws a UserError where there is too much of it; what cannot be read is told, and left out. */
export async function connections(
  archive: Archive,
  processes: readonly Process[],
  table: FileTable,
  spend: Spend,
  tell: Tell,
): Promise<Connections> {
  const byPid = new Map<number, readonly Descriptor[]>();
  const holders = new Map<number, Holder[]>();
  for (const { pid, ids } of processes) {
    const all = ids && (await attempt(tell, async () => await descriptors(archive, ids.filesId)));
    if (all === undefined) continue;
    spend(`checkpoint/fdinfo-${ids?.filesId}.img`, all.length, 0);
    byPid.set(pid, all);
    for (const { fd, fileId } of all) add(holders, fileId, { pid, fd });
    const lost = all.filter(({ fileId }) => !table.files.has(fileId)).length;
    // Where the whole table cannot be read, that was told.
    if (lost > 0 && table.files.size > 0) tell(notInTable(pid, lost));
  }
  const partners = partnersOf(table);
  const others = (file: OpenFile): Holder[] => (partners(file) ?? []).flatMap((id) => holders.get(id) ?? []).slice(0, MOST_OTHERS);
  return { table, queues: await attempt(tell, async () => await queues(archive)), descriptors: byPid, holders, others };
}

function notInTable(pid: number, files: number): ReturnType<typeof notThere> {
  return notThere(`${files} of the files that process ${pid} had open are not in checkpoint/files.img`, "the image is incomplete");
}

/** For a file, the ids of those at its other end. */
function partnersOf({ files }: FileTable): (file: OpenFile) => readonly number[] | undefined {
  const readers = new Map<number, number[]>();
  const writers = new Map<number, number[]>();
  const sockets = new Map<string, number[]>();
  for (const { id, pipeId, flags = 0, socket } of files.values()) {
    if (pipeId !== undefined && (flags & 3) !== WRITE_ONLY) add(readers, pipeId, id);
    if (pipeId !== undefined && (flags & 3) !== 0) add(writers, pipeId, id);
    if (socket?.protocol === "unix") add(sockets, `unix ${socket.inode}`, id);
    else if (socket !== undefined && socket.remote !== "")
      add(sockets, `${socket.protocol} ${bare(socket.local)} ${bare(socket.remote)}`, id);
  }
  return ({ pipeId, flags = 0, socket }) => {
    if (pipeId !== undefined) {
      const ends = (flags & 3) === 0 ? writers : (flags & 3) === WRITE_ONLY ? readers : undefined;
      // What is open for both is at both ends itself.
      return ends === undefined ? [...new Set([...(readers.get(pipeId) ?? []), ...(writers.get(pipeId) ?? [])])] : ends.get(pipeId);
    }
    if (socket?.peer !== undefined) return sockets.get(`unix ${socket.peer}`);
    return socket === undefined || socket.remote === ""
      ? undefined
      : sockets.get(`${socket.protocol} ${bare(socket.remote)} ${bare(socket.local)}`);
  };
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
