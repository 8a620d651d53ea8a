import type { Duplex } from "node:stream";
import { channelFrame, frame, FrameReader } from "./frames.ts";

export interface ChannelEvents {
  data(channel: number, piece: Buffer): void;
  /** Once, at the end. `code` is the close frame's; 1006 where the connection ended without one. */
  closed(code: number): void;
}

/** One WebSocket to a pod: numbered channels of bytes both ways, with backpressure. */
export class Channels {
  readonly #socket: Duplex;
  readonly #events: ChannelEvents;
  #closed = false;

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
    socket.on("data", (bytes: Buffer) => {
      try {
        if (!this.#closed) reader.feed(bytes);
      } catch {
        // Not WebSocket: whoever reads sees a connection that ended without a close frame.
        this.destroy();
      }
    });
    socket.on("error", () => this.#end(1006));
    socket.on("close", () => this.#end(1006));
  }

  /** Calls back when the bytes have left, or never will. */
  send(channel: number, bytes: Buffer, done?: () => void): void {
    this.#socket.write(channelFrame(channel, bytes), () => done?.());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
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
