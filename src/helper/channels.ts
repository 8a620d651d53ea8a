import type { Duplex } from "node:stream";
import { readRaw } from "../cluster/raw-reads.ts";
import { channelFrame, frame, FrameReader } from "./frames.ts";

export interface ChannelEvents {
  /** The piece is only there until this returns. */
  data(channel: number, piece: Buffer): void;
  /** Once, at the end. `code` is the close frame's; 1006 where the connection ended without one. */
  closed(code: number): void;
}

/** One WebSocket to a pod: numbered channels of bytes both ways, with backpressure. */
export class Channels {
  readonly #socket: Duplex;
  readonly #events: ChannelEvents;
  #closed = false;
  #paused = false;

  constructor(socket: Duplex, events: ChannelEvents) {
    this.#socket = socket;
    this.#events = events;
    const reader = new FrameReader({
      data: (channel, piece) => events.data(channel, piece),
      ping: (payload) => this.#socket.write(frame("pong", payload)),
      close: (code) => {
        this.#end(code);
        this.#socket.end(frame("close", Buffer.from([0x03, 0xe8])));
      },
    });
    readRaw(socket, (bytes) => {
      try {
        if (!this.#closed) reader.feed(bytes);
      } catch {
        // Not WebSocket: whoever reads sees a connection that ended without a close frame.
        this.destroy();
      }
      return !this.#paused;
    });
    socket.on("error", () => this.#end(1006));
    socket.on("close", () => this.#end(1006));
  }

  /** Calls back when the bytes have left, or never will. */
  send(channel: number, bytes: Buffer, done?: () => void): void {
    this.#socket.write(channelFrame(channel, bytes), () => done?.());
  }

  /** What has been read already still comes. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
    this.#end(1006);
  }

  #end(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed(code);
  }
}
