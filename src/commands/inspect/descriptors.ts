import type { FileItem, Holder, SocketItem, WatchItem } from "../../model/inspection.ts";
import { say } from "../../model/phrase.ts";
import type { View } from "./view.ts";

/** The descriptors of a process. */
export function* filesView(files: readonly FileItem[]): Generator<View> {
  if (files.length === 0) yield say`none`;
  else
    yield {
      columns: ["FD", "MODE", "TYPE", "NAME", "DETAILS"],
      rows: files.map((file) => [file.fd, accessOf(file), file.type, fileName(file), fileDetails(file)]),
      narrow: { without: ["DETAILS", "MODE"], shorten: [{ DETAILS: "end" }, { NAME: "middle" }] },
    };
}

/** For these the mode says nothing. */
const MODELESS = new Set(["socket", "eventfd", "epoll", "inotify", "signalfd", "timerfd", "pidfd"]);

export function fileName({ name, protocol, local, remote }: FileItem): string {
  return protocol === undefined || !local ? name : `${protocol} ${local}${remote ? ` to ${remote}` : ""}`;
}

/** How it was opened; "" if that says nothing. */
export function accessOf({ type, mode = "" }: FileItem): string {
  return MODELESS.has(type) ? "" : mode;
}

/** The other details of a file, in words. */
export function fileDetails(file: FileItem): string {
  const { type, closeOnExec, deleted, otherEnds, queuedBytes, position, size, watches } = file;
  return [
    deleted ? "deleted" : "",
    position === undefined ? "" : size === undefined ? `at ${position}, size unknown` : `at ${position} of ${size} bytes`,
    otherEnds === undefined ? "" : otherEnd(type, otherEnds),
    queuedBytes ? `${queuedBytes} bytes unread` : "",
    ...(watches ?? []).map(watchText),
    ...otherDetails(file, FILE_COLUMNS),
    closeOnExec ? "close-on-exec" : "",
  ]
    .filter((note) => note !== "")
    .join(", ");
}

const FILE_COLUMNS = new Set(
  "fd type name mode closeOnExec deleted otherEnds queuedBytes position size protocol local remote watches".split(" "),
);

/** Details under their own names: "counter 7". */
export function otherDetails(item: Readonly<Record<string, unknown>>, shown: ReadonlySet<string>): string[] {
  return Object.entries(item)
    .filter(([key, value]) => !shown.has(key) && value !== undefined)
    .map(([key, value]) => (value === true ? words(key) : `${words(key)} ${valueText(key, value)}`));
}

/** "expiresInSeconds" as words; the value has the unit. */
function words(key: string): string {
  return key.replace(/Seconds$/, "").replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function valueText(key: string, value: unknown): string {
  if (key.endsWith("Seconds")) return `${Number(Number(value).toFixed(3))}s`;
  return Array.isArray(value) ? value.join(" ") : String(value);
}

function otherEnd(type: string, ends: readonly Holder[]): string {
  if (ends.length > 0) return `other end ${holders(ends)}`;
  return `no process of the container has the other end${type === "pipe" ? "" : " open"}`;
}

function watchText({ fd, type, path, mount, inode, device, events }: WatchItem): string {
  const what =
    fd === undefined ? (path ?? (mount === undefined ? `inode ${inode} of device ${device}` : `mount ${mount}`)) : `fd ${fd} ${type}`;
  return `watches ${what} for ${events.join(" ") || "errors"}`;
}

/** The processes that have an end open: the first, and how many more. */
export function holders(all: readonly Holder[]): string {
  const [first, ...more] = all;
  if (first === undefined) return "no process of the container";
  const where = `fd ${first.fd} of process ${first.pid}`;
  return `${first.backlog ? `waits in the backlog of ${where}` : where}${more.length === 0 ? "" : ` and ${more.length} more`}`;
}

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
        socket.sendQueue ?? "?",
        socket.local || "*",
        socket.remote || "*",
        socketDetails(socket),
      ]),
      narrow: { without: ["DETAILS"], shorten: [{ DETAILS: "end" }, { LOCAL: "address", PEER: "address" }] },
    };
}

/** The other details of a socket, in words. */
export function socketDetails(socket: SocketItem): string {
  const { peers, inFlight = [] } = socket;
  const connected = peers === undefined ? [] : [peers.length === 0 ? "peer unknown" : `peer ${holders(peers)}`];
  const waiting = inFlight.map(({ type, name }) => `descriptor in flight: ${type} ${name}`);
  return [...connected, ...waiting, ...otherDetails(socket, SOCKET_COLUMNS)].join(", ");
}

// The sizes of buffers are in the document alone: few look for them, and every socket has them.
const SOCKET_COLUMNS = new Set(
  "fd protocol family kind state local remote peers inFlight receiveQueue sendQueue inode sendBufferBytes receiveBufferBytes".split(" "),
);
