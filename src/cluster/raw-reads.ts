import type { Duplex } from "node:stream";

/** Takes bytes that are only there until it returns; false holds the sender back until `resume`. */
export type RawSink = (bytes: Buffer) => boolean;

/** One buffer for every socket: what is read into it is taken before anything else is read. */
const BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const sinks = new WeakMap<object, RawSink>();

/**
 * For net and tls connect: sockets read into one buffer in place of a new one for every 16 KiB, whose garbage would cost more than
 * all that is done with the bytes. Until readRaw takes a socket over, it is a stream like any other.
 */
export const RAW_READS = {
  buffer: BUFFER,
  callback(this: unknown, length: number, bytes: Uint8Array): boolean {
    const socket = this as Duplex;
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, length);
    const sink = sinks.get(socket);
    return sink === undefined ? socket.push(Buffer.from(view)) : sink(view);
  },
};

/** From now on the socket's bytes go to the sink, those first that it holds already. */
export function readRaw(socket: Duplex, sink: RawSink): void {
  for (let held: Buffer | null = socket.read() as Buffer | null; held !== null; held = socket.read() as Buffer | null) sink(held);
  sinks.set(socket, sink);
  // Sockets that were not made here (a proxy's, a test's) go on as streams.
  socket.on("data", (bytes: Buffer) => {
    if (!sink(bytes)) socket.pause();
  });
}
