import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { UserError } from "../model/error.ts";
import type { Compression } from "./compression.ts";

/** More than this many bytes, from less than a RATIO-th of them, is no checkpoint: a decompression bomb. */
const SUSPICIOUS = 4 * 2 ** 30;
const RATIO = 800;

/** Expands a stream. Iterating throws a UserError where the compressed data are damaged, cut short, a bomb, or need too much memory. */
export async function* expand(
  input: AsyncIterable<Buffer>,
  compression: Compression,
  label: string,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  if (compression === "none") {
    yield* untilAborted(input, signal);
    return;
  }
  let consumed = 0;
  let produced = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of input) {
      consumed += piece.length;
      yield piece;
    }
  };
  const output: AsyncIterable<Buffer> & NodeJS.WritableStream = decoder(compression);
  // Errors reach whoever iterates over the output.
  const flow = pipeline(counted(), output, signal === undefined ? {} : { signal }).catch(() => {});
  try {
    for await (const piece of output) {
      produced += piece.length;
      if (produced > SUSPICIOUS && produced > RATIO * consumed) throw bomb(compression, label);
      yield piece;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error, compression, label);
  } finally {
    await flow;
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

function bomb(compression: "gzip" | "zstd", label: string): UserError {
  return new UserError({
    reason: "DecompressionBomb",
    message: `${label} expands more than ${RATIO}-fold, beyond 4 GiB: that looks like a decompression bomb`,
    fix: `if you trust it, expand it yourself: ${compression} -d ${label}`,
  });
}

/** Of zstd: it keeps the bytes that later ones may repeat, and their number is the window. */
const WINDOW_TOO_LARGE = "ZSTD_error_frameParameter_windowTooLarge";

function explained(error: unknown, compression: string, label: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "Z_BUF_ERROR")
    return new UserError({ reason: "ArchiveTruncated", message: `the ${compression} data of ${label} are cut short`, cause: error });
  if (code === WINDOW_TOO_LARGE) {
    return new UserError({
      reason: "WindowTooLarge",
      message: `${label} takes more memory to expand than this plugin gives, 128 MiB`,
      why: "zstd was told to look far back while compressing it (--long)",
      fix: `expand it first: zstd -d --long=31 ${label}`,
      cause: error,
    });
  }
  if (code.startsWith("Z_") || code.startsWith("ZSTD_")) {
    return new UserError({
      reason: "ArchiveDamaged",
      message: `the ${compression} data of ${label} are damaged`,
      why: (error as Error).message,
      cause: error,
    });
  }
  return error;
}

/** A decoder that hands out pieces of 256 KiB at most. */
function decoder(compression: "gzip" | "zstd") {
  const options = { chunkSize: 256 << 10 };
  return compression === "gzip" ? createGunzip(options) : createZstdDecompress(options);
}
