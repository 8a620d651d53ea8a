import type { Source } from "../model/source.ts";
import type { OpenArchive, OpenOptions } from "./archive.ts";
import type { Budget } from "./budget.ts";
import type { Compression } from "./compression.ts";
import { expand } from "./expand.ts";
import { checkRange, cutShort, paddingOr } from "./sources.ts";
import { indexTar } from "./tar/index.ts";
import { TemporaryBytes } from "./temporary.ts";

/** Bytes that come in order. */
export interface Stream {
  readonly input: AsyncIterable<Buffer>;
  readonly compression: Compression;
  /** How many they are before they are expanded; undefined for a pipe. */
  readonly bytes: number | undefined;
  /** What they are called in errors. */
  readonly label: string;
  /** Of a container: see IndexOptions. */
  readonly ofFiles: boolean;
  readonly budget: Budget;
  /** Lets go of where they come from. */
  readonly close: () => Promise<void>;
}

/** Opens an archive of which the bytes come in order: compressed, or through a pipe. */
export async function openStream(stream: Stream, { keep, signal }: OpenOptions): Promise<OpenArchive> {
  const { input, compression, bytes, label, ofFiles, budget, close } = stream;
  const store = keep === undefined ? new TemporaryBytes(label) : undefined;
  const expansion = expand(input, compression, { label, isMember: ofFiles }, signal);
  const source = new ForwardSource(charged(expansion, budget, !ofFiles), store);
  const closeAll = async (): Promise<void> => {
    await source.close();
    await store?.[Symbol.asyncDispose]();
    await close();
  };
  try {
    const index = await indexTar(source, { label, budget, keep, ofFiles });
    return {
      ...index,
      compression,
      bytes,
      async rest() {
        await source.drain();
        const afterArchive = store === undefined ? 0 : await paddingOr(source, index.end);
        return { afterArchive, afterCompressed: expansion.afterCompressed() };
      },
      [Symbol.asyncDispose]: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function* charged(pieces: AsyncIterable<Buffer>, budget: Budget, outermost: boolean): AsyncGenerator<Buffer, void> {
  for await (const piece of pieces) {
    if (outermost) budget.opened(piece.length);
    budget.decode(piece.length);
    yield piece;
  }
}

/**
 * A source over bytes that come in order: a read pulls as far as it needs to. What has passed can be read again where a
 * store keeps it; without one, reads must go forward. Its size is Number.MAX_SAFE_INTEGER until the bytes have ended.
 */
export class ForwardSource implements Source {
  readonly #bytes: AsyncIterator<Buffer>;
  readonly #store: TemporaryBytes | undefined;
  /** The piece last pulled, and where it begins. */
  #piece: Buffer = Buffer.alloc(0);
  #start = 0;
  #ended = false;

  constructor(bytes: AsyncIterable<Buffer>, store: TemporaryBytes | undefined) {
    this.#bytes = bytes[Symbol.asyncIterator]();
    this.#store = store;
  }

  get size(): number {
    return this.#ended ? this.#pulled : Number.MAX_SAFE_INTEGER;
  }

  /** Throws, besides, whatever the bytes throw. */
  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    checkRange(this.size, offset, length);
    const end = offset + length;
    if (this.#store !== undefined) {
      while (this.#pulled < end) await this.#pull();
      return offset >= this.#start ? this.#part(offset, end) : await this.#store.read(offset, length, into);
    }
    if (offset < this.#start) throw new Error(`byte ${offset} has passed: ${this.#start} is the first that can be read`);
    const parts: Buffer[] = [];
    for (let at = offset; at < end; at += parts.at(-1)?.length ?? 0) {
      while (this.#pulled <= at) await this.#pull();
      parts.push(this.#part(at, end));
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  /** Pulls what is left, so that the size is known and what is checked at the very end has been checked. */
  async drain(): Promise<void> {
    while (!this.#ended) await this.#next();
  }

  /** Lets go of where the bytes come from. */
  async close(): Promise<void> {
    await this.#bytes.return?.();
  }

  get #pulled(): number {
    return this.#start + this.#piece.length;
  }

  #part(from: number, to: number): Buffer {
    return this.#piece.subarray(from - this.#start, to - this.#start);
  }

  async #pull(): Promise<void> {
    await this.#next();
    if (this.#ended) throw cutShort(`it ends after ${this.#pulled} bytes`);
  }

  async #next(): Promise<void> {
    try {
      const { done, value } = await this.#bytes.next();
      if (done === true) {
        this.#ended = true;
      } else {
        this.#start = this.#pulled;
        this.#piece = value;
        await this.#store?.append(value);
      }
    } catch (error) {
      this.#ended = true;
      throw error;
    }
  }
}
