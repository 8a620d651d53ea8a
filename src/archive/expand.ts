import { once } from "node:events";
import { posix } from "node:path";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { UserError } from "../model/error.ts";
import { command, say, type Phrase } from "../model/phrase.ts";
import type { Compression } from "./compression.ts";

/** More than this many bytes, from less than a RATIO-th of them, is no checkpoint: a decompression bomb. */
const SUSPICIOUS = 4 * 2 ** 30;
const RATIO = 800;
/** Pieces that are handed out, in bytes at most. */
const CHUNK = 256 << 10;

/** Bytes in order, expanded. Iterating throws a UserError where the compressed data are damaged, cut short, a bomb, or need too much memory. */
export interface Expansion extends AsyncIterable<Buffer> {
  /** Once all have been handed out: how many bytes follow the compressed data, unless they are all zeros. */
  afterCompressed(): number;
}

/** What is expanded, as errors name it. */
export interface Compressed {
  readonly label: string;
  /** It is a member of an archive, not a file. */
  readonly isMember?: boolean;
}

/** Expands a stream, once. */
export function expand(input: AsyncIterable<Buffer>, compression: Compression, what: Compressed, signal?: AbortSignal): Expansion {
  if (compression === "none") return { afterCompressed: () => 0, [Symbol.asyncIterator]: () => untilAborted(input, signal) };
  const taken = new Taken(input);
  let used = 0;
  return {
    afterCompressed: () => (taken.lastByte > used ? taken.bytes - used : 0),
    async *[Symbol.asyncIterator]() {
      const decoder = compression === "gzip" ? createGunzip({ chunkSize: CHUNK }) : createZstdDecompress({ chunkSize: CHUNK });
      const pieces = taken[Symbol.asyncIterator]();
      let failure: unknown;
      let produced = 0;
      const stop = (): void => void decoder.destroy();
      signal?.addEventListener("abort", stop);
      const feeding = feed(pieces, decoder).catch((error: unknown) => {
        failure ??= error;
        stop();
      });
      try {
        for await (const piece of decoder as AsyncIterable<Buffer>) {
          produced += piece.length;
          if (produced > SUSPICIOUS && produced > RATIO * taken.bytes) throw bomb(compression, what);
          yield piece;
        }
        await feeding;
      } catch (error) {
        signal?.throwIfAborted();
        throw explained(failure ?? error, compression, what);
      } finally {
        used = decoder.bytesWritten;
        signal?.removeEventListener("abort", stop);
        stop();
        // Not waited for: a pipe may have nothing to say.
        void pieces.return();
      }
      signal?.throwIfAborted();
      if (failure !== undefined) throw explained(failure, compression, what);
    },
  };
}

type Decoder = ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>;

/** Gives a decoder all there is; what follows the compressed data is only taken. */
async function feed(pieces: AsyncIterable<Buffer>, decoder: Decoder): Promise<void> {
  // Whoever iterates over its output hears of it.
  decoder.on("error", () => undefined);
  for await (const piece of pieces) {
    if (decoder.readableEnded) continue;
    if (decoder.destroyed) return;
    if (!decoder.write(piece)) await oneOf(decoder, "drain", "end", "close");
  }
  if (!decoder.readableEnded && !decoder.destroyed) decoder.end();
}

async function oneOf(decoder: Decoder, ...events: readonly string[]): Promise<void> {
  const settled = new AbortController();
  try {
    await Promise.race(events.map(async (event) => await once(decoder, event, settled)));
  } finally {
    settled.abort();
  }
}

/** An input, and what was taken of it: how many bytes, and where the last one that is not zero ends. */
class Taken {
  readonly #input: AsyncIterable<Buffer>;
  bytes = 0;
  lastByte = 0;

  constructor(input: AsyncIterable<Buffer>) {
    this.#input = input;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    for await (const piece of this.#input) {
      let last = piece.length;
      while (last > 0 && piece[last - 1] === 0) last -= 1;
      if (last > 0) this.lastByte = this.bytes + last;
      this.bytes += piece.length;
      yield piece;
    }
  }
}

/** A stream that ends because of the signal throws the signal's reason. */
async function* untilAborted(input: AsyncIterable<Buffer>, signal: AbortSignal | undefined): AsyncGenerator<Buffer, void> {
  try {
    yield* input;
  } finally {
    signal?.throwIfAborted();
  }
}

/** A command for what cannot be done here; a member has to be taken out before. */
function byHand({ label, isMember }: Compressed, program: Phrase): Phrase {
  if (isMember !== true) return command`${program} ${label}`;
  return say`${command`kubectl checkpoint extract ${say`FILE`} ${label}`}, then ${command`${program} ${posix.basename(label)}`}`;
}

function bomb(compression: "gzip" | "zstd", what: Compressed): UserError {
  return new UserError({
    reason: "DecompressionBomb",
    message: say`${what.label} expands more than ${RATIO}-fold, beyond 4 GiB: that looks like a decompression bomb`,
    fix: say`if you trust it, expand it yourself: ${byHand(what, say`${compression} -d`)}`,
  });
}

/** Of zstd: it keeps the bytes that later ones may repeat, and their number is the window. */
const WINDOW_TOO_LARGE = "ZSTD_error_frameParameter_windowTooLarge";

function explained(error: unknown, compression: string, what: Compressed): unknown {
  const { label } = what;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "Z_BUF_ERROR")
    return new UserError({ reason: "ArchiveTruncated", message: say`the ${compression} data of ${label} are cut short`, cause: error });
  if (code === WINDOW_TOO_LARGE) {
    return new UserError({
      reason: "WindowTooLarge",
      message: say`${label} takes more memory to expand than this plugin gives, 128 MiB`,
      why: "zstd was told to look far back while compressing it (--long)",
      fix: say`expand it first: ${byHand(what, say`zstd -d --long=31`)}`,
      cause: error,
    });
  }
  if (code.startsWith("Z_") || code.startsWith("ZSTD_")) {
    return new UserError({
      reason: "ArchiveDamaged",
      message: say`the ${compression} data of ${label} are damaged`,
      why: (error as Error).message,
      cause: error,
    });
  }
  return error;
}
