import type { Archive } from "../../archive/archive.ts";
import { entriesWithData, oneEntry } from "../entries.ts";
import { PipeDataEntrySchema, SkPacketEntrySchema, TcpStreamEntrySchema } from "../gen/queues_pb.ts";

/** Bytes that were written and not yet read. */
export interface Queues {
  /** By pipeId, of pipes and FIFOs. */
  readonly pipes: ReadonlyMap<number, number>;
  /** By file id, of unix and netlink sockets: what they have yet to receive. */
  readonly sockets: ReadonlyMap<number, { readonly packets: number; readonly bytes: number }>;
}

/** Of pipes-data.img, fifo-data.img and sk-queues.img. Throws a UserError where one is damaged. */
export async function queues(archive: Archive): Promise<Queues> {
  const pipes = new Map<number, number>();
  for (const file of ["pipes-data.img", "fifo-data.img"]) {
    for await (const { pipeId, bytes } of entriesWithData(archive, file, PipeDataEntrySchema, (entry) => entry.bytes))
      pipes.set(pipeId, bytes);
  }
  const sockets = new Map<number, { packets: number; bytes: number }>();
  for await (const { idFor, length } of entriesWithData(archive, "sk-queues.img", SkPacketEntrySchema, (entry) => entry.length)) {
    const before = sockets.get(idFor) ?? { packets: 0, bytes: 0 };
    sockets.set(idFor, { packets: before.packets + 1, bytes: before.bytes + length });
  }
  return { pipes, sockets };
}

/** What a TCP connection had in flight, in bytes; undefined for a socket without a connection. */
export interface TcpQueues {
  readonly received: number;
  readonly toSend: number;
}

/** Of tcp-stream-INODE.img. Throws a UserError where it is damaged. */
export async function tcpQueues(archive: Archive, inode: number): Promise<TcpQueues | undefined> {
  const stream = await oneEntry(archive, `tcp-stream-${inode.toString(16)}.img`, TcpStreamEntrySchema);
  return stream && { received: stream.inqLen, toSend: stream.outqLen };
}
