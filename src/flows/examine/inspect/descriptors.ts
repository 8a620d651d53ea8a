import { accessMode, type OpenFile, type Socket } from "../../../criu/files/file.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import type { Descriptor } from "../../../criu/files/descriptors.ts";
import type { Process } from "../../../criu/processes.ts";
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
export function socketItems({ pid, ids }: Process, connections: Connections): SocketItem[] | undefined {
  const all = connections.descriptors.get(pid);
  if (all === undefined) return undefined;
  const items: SocketItem[] = [];
  for (const { fd, fileId } of all) {
    const file = connections.table.files.get(fileId);
    if (file?.socket !== undefined) items.push(socketItem(fd, file, file.socket, connections, ids?.netNsId));
  }
  return items;
}

/** `own`: the network namespace of the process, which goes without saying. */
function socketItem(fd: number, file: OpenFile, socket: Socket, connections: Connections, own: number | undefined): SocketItem {
  const { protocol, family, kind, state, local, remote, inode, netNamespace, details } = socket;
  const { queues, table } = connections;
  const tcp = protocol === "tcp" ? queues?.streams.get(inode) : undefined;
  const isConnected = protocol === "tcp" && remote !== "";
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
    // Where CRIU was not asked to keep a connection (tcp-established), it keeps no queues.
    receiveQueue: isConnected ? tcp?.received : queues && (waiting?.bytes ?? 0),
    sendQueue: isConnected ? tcp?.toSend : 0,
    inode: inode === 0 ? undefined : String(inode),
    ...details,
    ...(netNamespace === 0 || netNamespace === own ? {} : { netNamespace }),
    ...(waiting === undefined ? {} : { receivedPackets: waiting.packets }),
    ...(waiting === undefined || waiting.files.length === 0 ? {} : { inFlight: waiting.files.map((id) => inFlight(id, table)) }),
  };
}

function inFlight(fileId: number, { files }: FileTable): { readonly type: string; readonly name: string } {
  const file = files.get(fileId);
  return { type: file?.type ?? "unknown", name: file?.name ?? `file ${fileId} is not in files.img` };
}
