import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Codec } from "../helper/directory.ts";
import { BLOCK } from "../helper/operations.ts";
import { isPassing } from "../helper/transport.ts";
import { CodecChooser } from "./choose.ts";
import { decoder } from "./decode.ts";
import { PageGather } from "./pages.ts";
import { Malformed } from "./plain.ts";
import { asTransferError, type PieceSource } from "./download.ts";

/** Held in memory: one piece that is read, and those that are fetched meanwhile. */
const PIECE = 128 * BLOCK;
/** Pieces that are fetched at once: the start of one is hidden by the others. */
const AT_ONCE = 2;
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

  const fetch = async (begin: number, end: number, first: ReturnType<CodecChooser["next"]>): Promise<Buffer[]> => {
    for (let attempt = 1, choice = first; ; attempt += 1, choice = chooser.next()) {
      const { codec: chosen } = choice;
      const gather = new PageGather(spare);
      const enough = new AbortController();
      const wireBefore = wireBytes;
      const checked = (): Promise<void> | undefined => {
        if (gather.bytes >= end - begin) enough.abort();
        return gather.bytes > end - begin ? Promise.reject(new Malformed("more bytes came than were asked for")) : undefined;
      };
      const decode = decoder(chosen, {
        write: (piece) => (gather.write(piece), checked()),
        take: (piece, release) => (gather.take(piece, release), checked()),
        place: (bytes) => gather.place(bytes),
        filled: (bytes) => (gather.filled(bytes), checked()),
      });
      const started = performance.now();
      try {
        const sink = (piece: Buffer): Promise<void> | undefined => {
          wireBytes += piece.length;
          return decode.sink(piece);
        };
        await source.pour({ offset: begin, length: end - begin, codec: chosen, sink, signal, enough: enough.signal });
        if (gather.bytes < end - begin) await decode.end();
        if (gather.bytes < end - begin) throw new Malformed("bytes are missing");
        gather.end();
        const seconds = (performance.now() - started) / 1000;
        const linkBytes = wireBytes - wireBefore;
        chooser.measured(choice, { plainBytes: gather.bytes, wireBytes: linkBytes, linkBytes, seconds });
        return gather.pages;
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

  const fetching: Promise<Buffer[]>[] = [];
  let begun = 0;
  const begin = (): void => {
    while (fetching.length < AT_ONCE && begun < size) {
      const choice = chooser.next();
      const end = Math.min(begun + Math.min(PIECE, Math.ceil(choice.bytes / BLOCK) * BLOCK), size);
      const pieces = fetch(begun, end, choice);
      // Its failure is said when its turn comes.
      pieces.catch(() => undefined);
      fetching.push(pieces);
      begun = end;
    }
  };
  begin();
  for (let next = fetching.shift(); next !== undefined; next = fetching.shift()) {
    const pieces = await next;
    begin();
    yield* pieces;
  }
  return { wireBytes };
}
