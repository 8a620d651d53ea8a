import { randomFillSync } from "node:crypto";

/** What Kubernetes sends over a WebSocket: messages whose first byte is the number of a channel (channel.k8s.io). */
export interface FrameSink {
  /** A piece of a message's payload, in order; a message may come in several. */
  data(channel: number, piece: Buffer): void;
  ping(payload: Buffer): void;
  /** The peer's close frame: 1000 is a normal end, 1005 none given. */
  close(code: number): void;
}

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/**
 * Reads a server's frames (RFC 6455, section 5.2) as their bytes arrive and hands payloads on without gathering them.
 * `feed` throws an Error on anything that is not WebSocket.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  #header = Buffer.alloc(0);
  #opcode = CONTINUATION;
  #left = 0;
  #final = true;
  /** Of the message that is being read; undefined before its first byte. */
  #channel: number | undefined;
  #control: Buffer[] = [];

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  feed(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#left === 0) {
        rest = this.#readHeader(rest);
      } else {
        const piece = rest.subarray(0, this.#left);
        rest = rest.subarray(piece.length);
        this.#left -= piece.length;
        this.#take(piece);
        if (this.#left === 0) this.#endFrame();
      }
    }
  }

  #readHeader(bytes: Buffer): Buffer {
    const header = this.#header.length === 0 ? bytes : Buffer.concat([this.#header, bytes]);
    const [first = 0, second = 0] = header;
    const lengthBytes = (second & 0x7f) === 127 ? 8 : (second & 0x7f) === 126 ? 2 : 0;
    if (header.length < 2 + lengthBytes) {
      this.#header = Buffer.from(header);
      return Buffer.alloc(0);
    }
    this.#header = Buffer.alloc(0);
    if ((first & 0x70) !== 0) throw new Error("a WebSocket frame with reserved bits");
    if ((second & 0x80) !== 0) throw new Error("a masked WebSocket frame from the server");
    const length = lengthBytes === 8 ? Number(header.readBigUInt64BE(2)) : lengthBytes === 2 ? header.readUInt16BE(2) : second & 0x7f;
    if (!Number.isSafeInteger(length)) throw new Error("a WebSocket frame of an absurd length");
    this.#start(first & 0x0f, (first & 0x80) !== 0, length);
    return header.subarray(2 + lengthBytes);
  }

  #start(opcode: number, final: boolean, length: number): void {
    const control = opcode >= CLOSE;
    if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) throw new Error(`a WebSocket frame of unknown kind ${opcode}`);
    if (control && (length > 125 || !final)) throw new Error("a WebSocket control frame that is too long");
    this.#opcode = opcode;
    this.#left = length;
    if (!control) {
      this.#final = final;
      if (opcode !== CONTINUATION) this.#channel = undefined;
    }
    if (length === 0) this.#endFrame();
  }

  #take(piece: Buffer): void {
    if (this.#opcode >= CLOSE) {
      this.#control.push(piece);
      return;
    }
    const payload = this.#channel === undefined ? piece.subarray(1) : piece;
    this.#channel ??= piece[0] ?? 0;
    if (payload.length > 0) this.#sink.data(this.#channel, payload);
  }

  #endFrame(): void {
    if (this.#opcode < CLOSE) {
      if (this.#final) this.#channel = undefined;
      return;
    }
    const payload = Buffer.concat(this.#control);
    this.#control = [];
    if (this.#opcode === PING) this.#sink.ping(payload);
    if (this.#opcode === CLOSE) this.#sink.close(payload.length >= 2 ? payload.readUInt16BE(0) : 1005);
  }
}

/** A client's frame: masked, as RFC 6455 asks of clients. */
export function frame(opcode: "binary" | "close" | "pong", payload: Buffer): Buffer {
  const code = { binary: BINARY, close: CLOSE, pong: PONG }[opcode];
  const { bytes, body } = headed(code, payload.length);
  payload.copy(bytes, body);
  return masked(bytes, body);
}

/** A message on one of the channels. */
export function channelFrame(channel: number, payload: Buffer): Buffer {
  const { bytes, body } = headed(BINARY, payload.length + 1);
  bytes[body] = channel;
  payload.copy(bytes, body + 1);
  return masked(bytes, body);
}

const MASK = 4;

/** A frame without its payload, of `length` bytes, for which there is room at `body`. */
function headed(code: number, length: number): { readonly bytes: Buffer; readonly body: number } {
  const lengthBytes = length < 126 ? 0 : length < 0x10000 ? 2 : 8;
  const body = 2 + lengthBytes + MASK;
  const bytes = Buffer.allocUnsafeSlow(body + length);
  bytes[0] = 0x80 | code;
  bytes[1] = 0x80 | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) bytes.writeUInt16BE(length, 2);
  if (lengthBytes === 8) bytes.writeBigUInt64BE(BigInt(length), 2);
  randomFillSync(bytes, body - MASK, MASK);
  return { bytes, body };
}

/** In place; four bytes at once where they lie at a multiple of four, because archives are sent so. */
function masked(bytes: Buffer, body: number): Buffer {
  const mask = bytes.subarray(body - MASK, body);
  const maskOf = (index: number): number => mask[(index - body) & 3] ?? 0;
  const first = Math.min((body + 3) & ~3, bytes.length);
  const words = (bytes.length - first) >>> 2;
  const each = (from: number, to: number): void => {
    for (let index = from; index < to; index += 1) bytes[index] = (bytes[index] ?? 0) ^ maskOf(index);
  };
  each(body, first);
  each(first + words * 4, bytes.length);
  if (words === 0) return bytes;
  const turned = new Uint32Array(Uint8Array.from([first, first + 1, first + 2, first + 3], maskOf).buffer)[0] ?? 0;
  const view = new Uint32Array(bytes.buffer, bytes.byteOffset + first, words);
  for (let index = 0; index < words; index += 1) view[index] = (view[index] ?? 0) ^ turned;
  return bytes;
}
