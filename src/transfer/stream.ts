import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Codec } from "../helper/directory.ts";
import { BLOCK } from "../helper/operations.ts";
import { isPassing } from "../helper/transport.ts";
import { CodecChooser } from "./choose.ts";
import { decoder } from "./decode.ts";
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
  const chooser = new CodecChooser(source.codecs, codec, AT_ONCE);
  const hash = createHash("sha256");
  let wireBytes = 0;

  const fetch = async (begin: number, end: number, first: ReturnType<CodecChooser["next"]>): Promise<Buffer[]> => {
    for (let attempt = 1, choice = first; ; attempt += 1, choice = chooser.next()) {
      const { codec: chosen } = choice;
      const pieces: Buffer[] = [];
      const enough = new AbortController();
      let length = 0;
      const wireBefore = wireBytes;
      const keep = (piece: Buffer): Promise<void> | undefined => {
        pieces.push(piece);
        length += piece.length;
        if (length === end - begin) enough.abort();
        return length > end - begin ? Promise.reject(new Malformed("more bytes came than were asked for")) : undefined;
      };
      let place: Buffer = Buffer.alloc(0);
      const decode = decoder(chosen, {
        write: (piece) => keep(Buffer.from(piece)),
        take: keep,
        place: (bytes) => (place = Buffer.allocUnsafeSlow(bytes)),
        filled: () => keep(place),
      });
      const started = performance.now();
      try {
        const sink = (piece: Buffer): Promise<void> | undefined => {
          wireBytes += piece.length;
          return decode.sink(piece);
        };
        await source.pour({ offset: begin, length: end - begin, codec: chosen, sink, signal, enough: enough.signal });
        if (length < end - begin) await decode.end();
        if (length < end - begin) throw new Malformed("bytes are missing");
        const seconds = (performance.now() - started) / 1000;
        const linkBytes = wireBytes - wireBefore;
        chooser.measured(choice, { plainBytes: length, wireBytes: linkBytes, linkBytes, seconds });
        return pieces;
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
    for (const piece of pieces) {
      hash.update(piece);
      yield piece;
    }
  }
  return { sha256: hash.digest("hex"), wireBytes };
}
