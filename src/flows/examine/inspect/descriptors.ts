import type { Archive } from "../../../archive/archive.ts";
import { accessMode, type OpenFile, type Socket } from "../../../criu/files/file.ts";
import { tcpQueues } from "../../../criu/files/queues.ts";
import type { Descriptor } from "../../../criu/files/descriptors.ts";
import type { FileItem, SocketItem } from "../../../model/inspection.ts";
import type { Connections } from "./connections.ts";

/** The descriptors of a process as documents have them; undefined where they cannot be read. */
export function fileItems(pid: number, connections: Connections): FileItem[] | undefined {
  const all = connections.descriptors.get(pid);
  if (all === undefined) return undefined;
  const types = new Map(all.map(({ fd, fileId }) => [fd, connections.table.files.get(fileId)?.type ?? "unknown"]));
  return all.map((descriptor) => fileItem(descriptor, connections, types));
}

function fileItem({ fd, fileId, closeOnExec }: Descriptor, connections: Connections, types: ReadonlyMap<number, string>): FileItem {
  const { table, queues } = connections;
  const file = table.files.get(fileId);
  if (file === undefined) return { fd, type: "unknown", name: `file ${fileId} is not in files.img`, closeOnExec, deleted: false };
  const { type, name, flags, details, pipeId, watches, socket } = file;
  return {
    fd,
    type,
    name,
    mode: flags === undefined ? undefined : accessMode(flags),
    closeOnExec,
    deleted: table.remaps.has(fileId),
    ...details,
    ...(pipeId === undefined ? {} : { otherEnds: connections.others(file), queuedBytes: queues && (queues.pipes.get(pipeId) ?? 0) }),
    ...(watches === undefined ? {} : { watches: watches.map((watch) => ({ ...watch, type: types.get(watch.fd) ?? "closed" })) }),
    ...(socket === undefined ? {} : { protocol: socket.protocol, local: socket.local, remote: socket.remote }),
  };
}

/** The sockets among them; undefined where they cannot be read. */
export async function socketItems(archive: Archive, pid: number, connections: Connections): Promise<SocketItem[] | undefined> {
  const all = connections.descriptors.get(pid);
  if (all === undefined) return undefined;
  const items: SocketItem[] = [];
  for (const { fd, fileId } of all) {
    const file = connections.table.files.get(fileId);
    if (file?.socket !== undefined) items.push(await socketItem(archive, fd, file, file.socket, connections));
  }
  return items;
}

async function socketItem(archive: Archive, fd: number, file: OpenFile, socket: Socket, connections: Connections): Promise<SocketItem> {
  const { protocol, family, kind, state, local, remote, inode, details } = socket;
  const tcp = protocol === "tcp" ? await tcpQueues(archive, inode) : undefined;
  const { queues } = connections;
  const waiting = queues?.sockets.get(file.id);
  return {
    fd,
    protocol,
    family,
    kind,
    state,
    local,
    remote,
    peers: socket.peer === undefined && remote === "" ? undefined : connections.others(file),
    receiveQueue: tcp?.received ?? (queues && (waiting?.bytes ?? 0)),
    sendQueue: tcp?.toSend ?? 0,
    inode: String(inode),
    ...details,
    ...(waiting === undefined ? {} : { receivedPackets: waiting.packets }),
  };
}
