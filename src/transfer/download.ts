import { setTimeout as sleep } from "node:timers/promises";
import type { Codec, PieceRequest } from "../helper/directory.ts";
import { BLOCK } from "../helper/operations.ts";
import { isPassing, PATIENCE_MS, type Sink } from "../helper/transport.ts";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { CodecChooser, MIN_BYTES, type Choice } from "./choose.ts";
import { decoder } from "./decode.ts";
import { followingHash } from "./hash.ts";
import { Malformed, type Plain } from "./plain.ts";
import { cannotWrite } from "../local/failure.ts";
import type { Part } from "../local/part.ts";
import { gaps, prefix, totalBytes } from "../local/ranges.ts";
import { RangeWriter, type Pages } from "./writer.ts";

/** Where bytes come from: pieces of one file, encoded on the way. */
export interface PieceSource {
  readonly codecs: readonly Codec[];
  readonly pour: (request: PieceRequest) => Promise<void>;
}

export interface Download {
  readonly source: PieceSource;
  readonly part: Part;
  readonly codec: Codec | "auto";
  /** Pieces under way at once. */
  readonly streams: number;
  readonly signal: AbortSignal;
  /** Plain bytes that are there, encoded bytes that have travelled, and the codec of the newest piece. */
  readonly progress: (state: { readonly bytes: number; readonly wireBytes: number; readonly codec: Codec }) => void;
}

/**
 * Fetches what the part lacks, in several pieces at once, and answers with the SHA-256 of the file on the disk. Pieces that
 * are cut off go on where they were cut. Throws a UserError; what has arrived stays in the part.
 */
export async function download({
  source,
  part,
  codec: fixed,
  streams,
  signal,
  progress,
}: Download): Promise<{ sha256: string; wireBytes: number }> {
  const { bytes } = part.source;
  const chooser = new CodecChooser(source.codecs, fixed, streams);
  const hash = followingHash(part.file, bytes);
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let underWay: { readonly choice: Choice; readonly range: readonly [number, number] }[] = [];
  const spare: Pages = [];
  let wireBytes = 0;
  let arrivedAt = performance.now();

  const written = (begin: number, end: number): void => {
    part.add(begin, end);
    arrivedAt = performance.now();
    hash.advance(prefix(part.done));
  };

  /** The next range that is neither there nor under way, no longer than wanted, its ends on blocks. */
  const take = (wanted: number): readonly [number, number] | undefined => {
    const taken = [...part.done, ...underWay.map(({ range }) => range)].sort(([a], [b]) => a - b);
    const [gap] = gaps(taken, bytes);
    if (gap === undefined) return undefined;
    const begin = Math.floor(gap[0] / BLOCK) * BLOCK;
    // All streams should come to their end at the same time.
    const fair = Math.ceil((bytes - totalBytes(part.done)) / streams);
    const length = Math.ceil(Math.min(wanted, Math.max(fair, MIN_BYTES)) / BLOCK) * BLOCK;
    return [begin, Math.min(begin + length, gap[1])];
  };

  const fetchPiece = async (choice: Choice, begin: number, end: number): Promise<void> => {
    const { codec } = choice;
    const writer = new RangeWriter(part.file, { begin, end, spare }, written);
    const enough = new AbortController();
    const decode = decoder(
      codec,
      untilFull(writer, () => enough.abort()),
    );
    let wireBytesOfPiece = 0;
    let since = { at: performance.now(), wire: wireBytes, ofPiece: 0 };
    const sink: Sink = (piece) => {
      // What is not compressed measures the link: by its second half, since a link may let a burst through before it slows down.
      const half = codec === "none" && since.ofPiece === 0 && wireBytesOfPiece * 2 >= end - begin;
      if (wireBytesOfPiece === 0 || half) since = { at: performance.now(), wire: wireBytes, ofPiece: wireBytesOfPiece };
      wireBytesOfPiece += piece.length;
      wireBytes += piece.length;
      progress({ bytes: totalBytes(part.done), wireBytes, codec });
      return decode.sink(piece);
    };
    try {
      await source.pour({ offset: begin, length: end - begin, codec, sink, signal: either, enough: enough.signal });
      if (!writer.full) await decode.end();
      await writer.finish();
      chooser.measured(choice, {
        plainBytes: end - begin - since.ofPiece,
        wireBytes: wireBytesOfPiece - since.ofPiece,
        linkBytes: wireBytes - since.wire,
        seconds: (performance.now() - since.at) / 1000,
      });
    } finally {
      decode.stop();
      // What came before a cut is as good as the rest.
      await writer.settle().catch(() => undefined);
    }
  };

  const stream = async (): Promise<void> => {
    for (let failures = 0; ;) {
      either.throwIfAborted();
      const choice = chooser.next(underWay.map((piece) => piece.choice.codec));
      const range = take(choice.bytes);
      if (range === undefined) return;
      const piece = { choice, range };
      underWay.push(piece);
      try {
        await fetchPiece(choice, ...range);
        failures = 0;
      } catch (error) {
        either.throwIfAborted();
        const explained = explain(error, part.path);
        if (!isPassing(explained) || performance.now() - arrivedAt > PATIENCE_MS) throw explained;
        failures += 1;
        await sleep(Math.min(5000, 100 * 2 ** failures), undefined, { signal: either }).catch(() => either.throwIfAborted());
      } finally {
        underWay = underWay.filter((one) => one !== piece);
      }
    }
  };

  const work = Array.from({ length: streams }, async () => {
    await stream().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    });
  });
  try {
    const results = await Promise.allSettled(work);
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) throw signal.aborted ? signal.reason : failed.signal.reason;
    return { sha256: await hash.finish(bytes), wireBytes };
  } finally {
    // The file may be closed after this.
    await hash.stop();
  }
}

/** The same place, which says when no more fits. */
function untilFull(writer: RangeWriter, full: () => void): Plain {
  const checked = (busy: Promise<void> | undefined): Promise<void> | undefined => {
    if (writer.full) full();
    return busy;
  };
  return {
    write: (piece) => checked(writer.write(piece)),
    take: (piece, release) => checked(writer.take(piece, release)),
    place: (length) => writer.place(length),
    filled: (length) => checked(writer.filled(length)),
  };
}

function explain(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (/^(EIO|EROFS|EFBIG)$/.test(code ?? "")) return cannotWrite(path, error);
  if (!/^(ENOSPC|EDQUOT)$/.test(code ?? "")) return asTransferError(error);
  return new UserError({
    reason: "LocalDiskFull",
    message: say`no space left for ${path}`,
    fix: "free some space, then rerun the command to resume the copy",
    cause: error,
  });
}

export function asTransferError(error: unknown): unknown {
  if (!(error instanceof Malformed)) return error;
  return new UserError({ reason: "TransferCut", message: "the transfer was interrupted", why: error.message, cause: error });
}
