import type { Source } from "../model/source.ts";
import type { OpenArchive } from "./archive.ts";
import type { Budget } from "./budget.ts";
import type { BytesOptions } from "./bytes.ts";
import type { Compression } from "./compression.ts";
import { expand } from "./expand.ts";
import { checkRange, cutShort, paddingOr } from "./sources.ts";
import { BLOCK, parseHeader } from "./tar/header.ts";
import { indexTar } from "./tar/index.ts";
import { TemporaryBytes } from "./temporary.ts";

/** Engines pad their archives with no more, in bytes. */
const SHORT_REST = 1 << 20;

/** Bytes that come in order. */
export interface Stream {
  readonly input: AsyncIterable<Buffer>;
  readonly compression: Compression;
  /** How many they are before they are expanded; undefined for a pipe. */
  readonly bytes: number | undefined;
  /** What they are called in errors. */
  readonly label: string;
  readonly ofFiles: boolean;
  /** Lets go of where they come from. */
  readonly close: () => Promise<void>;
}

/** Opens an archive of which the bytes come in order: compressed, or through a pipe. */
export async function openStream(stream: Stream, { keep, signal, budget }: BytesOptions): Promise<OpenArchive> {
  const { input, compression, bytes, label, ofFiles, close } = stream;
  const expansion = expand(input, compression, { label, isMember: ofFiles }, signal);
  const source = new ForwardSource(charged(expansion, budget, !ofFiles));
  let store: TemporaryBytes | undefined;
  const closeAll = async (): Promise<void> => {
    await source.close();
    await store?.[Symbol.asyncDispose]();
    await close();
  };
  try {
    // What is damaged, or cut off, before anything came out of it is no other kind of file.
    const head = await source.peek(BLOCK);
    const passing = isEngines(head) ? keep : undefined;
    if (passing === undefined) await source.keepIn((store = new TemporaryBytes(label)));
    const index = await indexTar(source, { label, budget, keep: passing, ofFiles });
    // A decoder at its end needs no memory any more. What is wrong there is for whoever asks for the rest.
    let failure: unknown;
    if (bytes !== undefined && compression !== "none") await source.drain(SHORT_REST).catch((error: unknown) => (failure = error));
    signal?.throwIfAborted();
    return {
      ...index,
      form: "engine",
      compression,
      bytes,
      async rest() {
        if (failure !== undefined) throw failure as Error;
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

/** What engines have at the top of their archives: other archives may hold one. */
const TOP =
  /^(\.\/)?((pre-)?checkpoint|artifacts|config\.dump|spec\.dump|stats-dump|devshm-checkpoint\.tar|network\.status|(dump|container|ctr)\.log|bind\.mounts|rootfs-diff\.tar|status(\.dump)?|deleted\.files|volumes)(\/|$)/;

/** Whether an archive that begins so is one that an engine wrote. */
function isEngines(head: Buffer): boolean {
  const header = head.length === BLOCK ? parseHeader(head) : undefined;
  return header !== undefined && TOP.test(header.name.toString("latin1"));
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
  #store: TemporaryBytes | undefined;
  /** The piece last pulled, and where it begins. */
  #piece: Buffer = Buffer.alloc(0);
  #start = 0;
  #ended = false;

  constructor(bytes: AsyncIterable<Buffer>) {
    this.#bytes = bytes[Symbol.asyncIterator]();
  }

  /** From the beginning on; only before anything else was read. */
  async keepIn(store: TemporaryBytes): Promise<void> {
    await store.append(this.#piece);
    this.#store = store;
  }

  /** The first bytes, fewer where there are no more. Nothing has passed after it. */
  async peek(length: number): Promise<Buffer> {
    while (!this.#ended && this.#piece.length < length) {
      const before = this.#piece;
      await this.#next();
      if (this.#ended) break;
      this.#piece = Buffer.concat([before, this.#piece]);
      this.#start = 0;
    }
    return this.#piece.subarray(0, length);
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

  /** Pulls what is left, of much only so many bytes, so that the size is known and what is checked at the very end has been checked. */
  async drain(most = Infinity): Promise<void> {
    const end = this.#pulled + most;
    while (!this.#ended && this.#pulled < end) await this.#next();
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
