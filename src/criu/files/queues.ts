import type { Archive } from "../../archive/archive.ts";
import type { Source } from "../../model/source.ts";
import { bufferSource, slice } from "../../archive/sources.ts";
import { allEntries, entriesWithData } from "../entries.ts";
import { BpfmapDataEntrySchema, PipeDataEntrySchema, SkPacketEntrySchema, TcpStreamEntrySchema } from "../gen/queues_pb.ts";
import { TtyDataEntrySchema } from "../gen/tty_pb.ts";

/** SCM_RIGHTS of socket.h. */
const RIGHTS = 1;

/** Bytes that were written and not yet read. */
export interface Queue {
  /** What they are in: "pipe", "socket" by the id of an open file, "tcp" by inode, "terminal" by tty id, "bpf-map" by map id. */
  readonly kind: "pipe" | "socket" | "tcp received" | "tcp to send" | "terminal" | "bpf-map";
  readonly id: number;
  /** The image that has them, in the archive. */
  readonly image: string;
  readonly data: Source;
  /** Ids of open files that travel with them. */
  readonly files: readonly number[];
}

/** Every queue that an archive has, of a socket each packet. Throws a UserError where an image is damaged. */
export async function* allQueues(archive: Archive): AsyncGenerator<Queue> {
  for (const file of ["pipes-data.img", "fifo-data.img"]) {
    for await (const { entry, data } of entriesWithData(archive, file, PipeDataEntrySchema, ({ bytes }) => bytes))
      yield { kind: "pipe", id: entry.pipeId, image: `checkpoint/${file}`, data, files: [] };
  }
  for await (const { entry, data } of entriesWithData(archive, "sk-queues.img", SkPacketEntrySchema, ({ length }) => length)) {
    const files = entry.scm.filter(({ type }) => type === RIGHTS).flatMap(({ rights }) => rights);
    yield { kind: "socket", id: entry.idFor, image: "checkpoint/sk-queues.img", data, files };
  }
  for (const name of archive.members.keys()) {
    const [, file, inode] = TCP.exec(name) ?? [];
    if (file !== undefined && inode !== undefined) yield* tcpQueues(archive, file, Number.parseInt(inode, 16));
  }
  for await (const { ttyId, data } of allEntries(archive, "tty-data.img", TtyDataEntrySchema))
    yield { kind: "terminal", id: ttyId, image: "checkpoint/tty-data.img", data: bufferSource(Buffer.from(data)), files: [] };
  const maps = entriesWithData(archive, "bpfmap-data.img", BpfmapDataEntrySchema, ({ keysBytes, valuesBytes }) => keysBytes + valuesBytes);
  for await (const { entry, data } of maps)
    yield { kind: "bpf-map", id: entry.mapId, image: "checkpoint/bpfmap-data.img", data, files: [] };
}

const TCP = /^checkpoint\/(tcp-stream-([\da-f]+)\.img)$/;

async function* tcpQueues(archive: Archive, file: string, inode: number): AsyncGenerator<Queue> {
  const streams = entriesWithData(archive, file, TcpStreamEntrySchema, ({ inqLen, outqLen }) => inqLen + outqLen);
  for await (const { entry, data } of streams) {
    const common = { id: inode, image: `checkpoint/${file}`, files: [] };
    yield { kind: "tcp received", ...common, data: slice(data, 0, entry.inqLen) };
    yield { kind: "tcp to send", ...common, data: slice(data, entry.inqLen, entry.outqLen) };
  }
}

/** How much waits where. */
export interface Queues {
  /** By pipeId, of pipes and FIFOs. */
  readonly pipes: ReadonlyMap<number, number>;
  /** By file id, of unix and netlink sockets: what they have yet to receive. */
  readonly sockets: ReadonlyMap<number, Packets>;
  /** By inode, of TCP sockets with a connection. */
  readonly streams: ReadonlyMap<number, { readonly received: number; readonly toSend: number }>;
}

export interface Packets {
  readonly packets: number;
  readonly bytes: number;
  /** Ids of open files that wait with them. */
  readonly files: readonly number[];
}

/** Throws a UserError where an image is damaged. */
export async function queues(archive: Archive): Promise<Queues> {
  const pipes = new Map<number, number>();
  const sockets = new Map<number, { packets: number; bytes: number; files: number[] }>();
  const streams = new Map<number, { received: number; toSend: number }>();
  for await (const { kind, id, data, files } of allQueues(archive)) {
    if (kind === "pipe") pipes.set(id, (pipes.get(id) ?? 0) + data.size);
    if (kind === "socket") {
      const waiting = sockets.get(id) ?? { packets: 0, bytes: 0, files: [] };
      waiting.packets += 1;
      waiting.bytes += data.size;
      waiting.files.push(...files);
      sockets.set(id, waiting);
    }
    if (kind === "tcp received" || kind === "tcp to send") {
      const before = streams.get(id) ?? { received: 0, toSend: 0 };
      streams.set(id, { ...before, [kind === "tcp received" ? "received" : "toSend"]: data.size });
    }
  }
  return { pipes, sockets, streams };
}
