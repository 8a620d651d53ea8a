import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Codec } from "../helper/directory.ts";
import { BLOCK } from "../helper/operations.ts";
import { isPassing } from "../helper/transport.ts";
import { CodecChooser, type Choice } from "./choose.ts";
import { decoder } from "./decode.ts";
import { PAGE, PageGather } from "./pages.ts";
import { Malformed } from "./plain.ts";
import { asTransferError, type PieceSource } from "./download.ts";

/** The longest that is fetched at once: each takes a tunnel, which costs both ends some time. */
const PIECE = 256 * BLOCK;
/** Pieces that are fetched at once: the start of one is hidden by the others. */
const AT_ONCE = 2;
/** Bytes that wait for those before them: the sender of more waits. */
const WAITING = 16 * PAGE;
/** Bytes that are next, and wait for their reader. */
const UNREAD = 4 * PAGE;
const ATTEMPTS = 8;

export interface Streamed {
  readonly sha256: string;
  readonly wireBytes: number;
}

/**
 * The bytes of a file in order, for a pipe: nothing touches the disk. The generator's return value has the hash of what went
 * through, to be compared with the node's: by then the reader has it all. Throws a UserError.
 */
export async function* streamFile(
  source: PieceSource,
  size: number,
  codec: Codec | "auto",
  signal: AbortSignal,
): AsyncGenerator<Buffer, Streamed> {
  const hash = createHash("sha256");
  const pages = streamPages(source, size, codec, signal);
  for (;;) {
    const next = await pages.next();
    if (next.done === true) return { sha256: hash.digest("hex"), ...next.value };
    hash.update(next.value);
    yield next.value;
  }
}

/** The same without the hash. Each page's memory is its reader's, who may put it into `spare` when it is used up: PAGE bytes. */
export async function* streamPages(
  source: PieceSource,
  size: number,
  codec: Codec | "auto",
  signal: AbortSignal,
  spare: Buffer[] = [],
): AsyncGenerator<Buffer, { readonly wireBytes: number }> {
  const chooser = new CodecChooser(source.codecs, codec, AT_ONCE);
  let wireBytes = 0;

  const fetch = async (piece: Piece, begin: number, end: number, first: Choice): Promise<void> => {
    let fetched = 0;
    for (let attempt = 1, choice = first; ; attempt += 1, choice = chooser.next()) {
      const { codec: chosen } = choice;
      // What has been read cannot be taken back: another attempt continues after it, from the block that it ends in.
      const offset = begin + Math.floor(fetched / BLOCK) * BLOCK;
      let again = begin + fetched - offset;
      const gather = new PageGather(spare, (page) => {
        // More than was asked for: none of it is the file's.
        if (gather.bytes > end - offset) return;
        const known = Math.min(again, page.length);
        again -= known;
        fetched += page.length - known;
        if (known < page.length) piece.add(page.subarray(known));
      });
      const enough = new AbortController();
      const wireBefore = wireBytes;
      const checked = (): Promise<void> | undefined => {
        if (gather.bytes >= end - offset) enough.abort();
        return gather.bytes > end - offset ? Promise.reject(new Malformed("more bytes came than were asked for")) : piece.room();
      };
      const decode = decoder(chosen, {
        write: (bytes) => (gather.write(bytes), checked()),
        take: (bytes, release) => (gather.take(bytes, release), checked()),
        place: (bytes) => gather.place(bytes),
        filled: (bytes) => (gather.filled(bytes), checked()),
      });
      const started = performance.now();
      try {
        const sink = (bytes: Buffer): Promise<void> | undefined => {
          wireBytes += bytes.length;
          return decode.sink(bytes);
        };
        await source.pour({ offset, length: end - offset, codec: chosen, sink, signal, enough: enough.signal });
        if (gather.bytes < end - offset) await decode.end();
        if (gather.bytes < end - offset) throw new Malformed("bytes are missing");
        gather.end();
        const seconds = (performance.now() - started) / 1000;
        const linkBytes = wireBytes - wireBefore;
        chooser.measured(choice, { plainBytes: gather.bytes, wireBytes: linkBytes, linkBytes, seconds });
        return;
      } catch (error) {
        signal.throwIfAborted();
        const explained = asTransferError(error);
        if (!isPassing(explained) || attempt === ATTEMPTS) throw explained;
        await sleep(Math.min(5000, 100 * 2 ** attempt), undefined, { signal });
      } finally {
        decode.stop();
      }
    }
  };

  const fetching: Piece[] = [];
  let begun = 0;
  const begin = (): void => {
    while (fetching.length < AT_ONCE && begun < size) {
      const choice = chooser.next();
      const end = Math.min(begun + Math.min(PIECE, Math.ceil(choice.bytes / BLOCK) * BLOCK), size);
      const piece = new Piece();
      piece.endsWith(fetch(piece, begun, end, choice));
      fetching.push(piece);
      begun = end;
    }
  };
  for (begin(); fetching[0] !== undefined; begin()) {
    yield* fetching[0].pages();
    fetching.shift();
  }
  return { wireBytes };
}

/** Pages of a piece between who fetches it and who reads it. */
class Piece {
  readonly #pages: Buffer[] = [];
  #unread = 0;
  #most = WAITING;
  #fetched: Promise<void> = Promise.resolve();
  #hasEnded = false;
  #change = Promise.withResolvers<void>();

  add(page: Buffer): void {
    this.#pages.push(page);
    this.#unread += page.length;
    this.#changed();
  }

  /** When there is room for more; undefined: there is. */
  room(): Promise<void> | undefined {
    return this.#unread < this.#most ? undefined : this.#waitForRoom();
  }

  endsWith(fetched: Promise<void>): void {
    this.#fetched = fetched.finally(() => {
      this.#hasEnded = true;
      this.#changed();
    });
    // Its failure is thrown when its turn comes.
    this.#fetched.catch(() => undefined);
  }

  /** From its first page on, as they come: its turn has come. Rejects with what kept the rest from coming. */
  async *pages(): AsyncGenerator<Buffer, void> {
    this.#most = UNREAD;
    for (;;) {
      for (let page = this.#pages.shift(); page !== undefined; page = this.#pages.shift()) {
        this.#unread -= page.length;
        this.#changed();
        yield page;
      }
      if (this.#hasEnded) return await this.#fetched;
      await this.#change.promise;
    }
  }

  async #waitForRoom(): Promise<void> {
    while (this.#unread >= this.#most) await this.#change.promise;
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
