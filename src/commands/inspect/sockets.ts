import type { SocketItem } from "../../model/inspection.ts";
import { say } from "../../model/phrase.ts";
import { holders, otherDetails } from "./files.ts";
import type { View } from "./view.ts";

/** The sockets of a process, as ss prints them. */
export function* socketsView(sockets: readonly SocketItem[]): Generator<View> {
  if (sockets.length === 0) yield say`none`;
  else
    yield {
      columns: ["FD", "PROTOCOL", "STATE", "RECV-Q", "SEND-Q", "LOCAL", "PEER", "DETAILS"],
      rows: sockets.map((socket) => [
        socket.fd,
        socket.protocol === "unix" || socket.protocol === "packet" ? `${socket.protocol} ${socket.kind}` : socket.protocol,
        socket.state ?? "-",
        socket.receiveQueue ?? "?",
        socket.sendQueue,
        socket.local || "*",
        socket.remote || "*",
        socketDetails(socket),
      ]),
    };
}

/** What a document has of a socket besides, in words. */
export function socketDetails(socket: SocketItem): string {
  const { peers } = socket;
  const connected = peers === undefined ? [] : [peers.length === 0 ? "peer outside the container" : `peer ${holders(peers)}`];
  return [...connected, ...otherDetails(socket, SAID)].join(", ");
}

// The sizes of buffers are in the document alone: few look for them, and every socket has them.
const SAID = new Set(
  "fd protocol family kind state local remote peers receiveQueue sendQueue inode sendBufferBytes receiveBufferBytes".split(" "),
);
