import { createHash } from "node:crypto";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import type { Archive, Member } from "../archive/archive.ts";
import { Budget } from "../archive/budget.ts";
import { compressionOf, type Compression } from "../archive/compression.ts";
import { expand } from "../archive/expand.ts";
import { ForwardSource } from "../archive/stream.ts";
import { indexTar } from "../archive/tar/index.ts";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { Layer } from "./manifest.ts";

/** An archive as bytes that come in order: from a file, a pipe or a node. */
export interface ArchiveBytes {
  /** What it is called in errors. */
  readonly label: string;
  /** In bytes; undefined for a pipe. */
  readonly size: number | undefined;
  /** From the start; more than once only where `repeatable`. */
  open(): AsyncIterable<Buffer>;
  readonly repeatable: boolean;
}

/** Where the layer's bytes go. A piece may be changed by others once its write has ended. */
export interface BlobSink {
  write(piece: Buffer): Promise<void>;
}

export interface LayerRequest<Facts> {
  readonly archive: ArchiveBytes;
  /** Undefined: as it is. */
  readonly compression: Compression | undefined;
  readonly sink: BlobSink;
  /** Members that `facts` reads. */
  readonly keep: (member: Member) => boolean;
  readonly facts: (archive: Archive) => Promise<Facts>;
  readonly signal: AbortSignal;
}

export interface WrittenLayer<Facts> {
  readonly layer: Layer;
  /** Of the archive as it was read; undefined where it was compressed and the layer is not. */
  readonly archiveDigest: string | undefined;
  readonly facts: Facts;
  /** What not all readers of the archive take alike: the node's may find something else in it. A sentence each. */
  readonly problems: readonly string[];
}

/** zstd's own default (3) halves what level 1 gains on memory that is mostly zeros, for twice the time. */
const ZSTD_LEVEL = 1;
const GZIP_LEVEL = 1;
const CHUNK = 256 << 10;

/**
 * Reads an archive once: its bytes go to the sink as the layer, both digests are computed, and the index over them finds the
 * facts as they pass by. Throws a UserError where it is no whole archive, and whatever the sink throws.
 */
export async function writeLayer<Facts>(request: LayerRequest<Facts>): Promise<WrittenLayer<Facts>> {
  const { archive, signal, keep } = request;
  const { head, bytes } = await peek(archive);
  const found = compressionOf(head, archive.label);
  const compression = request.compression ?? found;
  const asItIs = compression === found;
  const blob = digesting(request.sink);
  const plain = createHash("sha256");
  const compressor = asItIs || compression === "none" ? undefined : compressing(compression, blob);

  const raw = interruptible(asItIs ? tee(bytes, async (piece) => await blob.write(piece)) : bytes, signal);
  const expansion = expand(raw, found, archive, signal);
  const archiveBytes = tee(expansion, async (piece) => {
    if (asItIs && found === "none") return;
    plain.update(piece);
    if (!asItIs) await (compressor ?? blob).write(piece);
  });
  const source = new ForwardSource(archiveBytes);
  try {
    const index = await indexTar(source, { label: archive.label, keep, budget: Budget.withoutClock() });
    await source.drain();
    if (!index.complete) throw incomplete(archive.label, index.problems);
    const more = expansion.afterCompressed();
    if (more > 0) throw incomplete(archive.label, [`${more} bytes follow its compressed data, which runtimes refuse`]);
    await compressor?.end();
    const { digest, size } = blob.end();
    const diffId = asItIs && found === "none" ? digest : `sha256:${plain.digest("hex")}`;
    const archiveDigest = asItIs ? digest : found === "none" ? diffId : undefined;
    return {
      layer: { compression, digest, bytes: size, diffId },
      archiveDigest,
      facts: await request.facts(index),
      problems: index.problems,
    };
  } finally {
    compressor?.stop();
    await source.close();
  }
}

/** The first piece, and all of them. */
async function peek(archive: ArchiveBytes): Promise<{ head: Buffer; bytes: AsyncIterable<Buffer> }> {
  const iterator = archive.open()[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new UserError({ reason: "NotAnArchive", message: say`${archive.label} is empty` });
  const bytes = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { head: first.value, bytes: bytes() };
}

async function* tee(pieces: AsyncIterable<Buffer>, write: (piece: Buffer) => Promise<void>): AsyncGenerator<Buffer, void> {
  for await (const piece of pieces) {
    await write(piece);
    yield piece;
  }
}

async function* interruptible(pieces: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  for await (const piece of pieces) {
    signal.throwIfAborted();
    yield piece;
  }
}

function digesting(sink: BlobSink) {
  const hash = createHash("sha256");
  let size = 0;
  return {
    async write(piece: Buffer): Promise<void> {
      const written = sink.write(piece);
      hash.update(piece);
      size += piece.length;
      await written;
    },
    end: () => ({ digest: `sha256:${hash.digest("hex")}`, size }),
  };
}

function compressing(compression: "gzip" | "zstd", into: BlobSink) {
  const stream =
    compression === "gzip"
      ? createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK })
      : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL }, chunkSize: CHUNK });
  const done = pipeline(stream, async (pieces: AsyncIterable<Buffer>) => {
    for await (const piece of pieces) await into.write(piece);
  });
  // Told by the next write or the end.
  done.catch(() => undefined);
  return {
    async write(piece: Buffer): Promise<void> {
      if (!stream.write(piece)) await Promise.race([once(stream, "drain"), done]);
    },
    async end(): Promise<void> {
      stream.end();
      await done;
    },
    stop: () => stream.destroy(),
  };
}

function incomplete(label: string, problems: readonly string[]): UserError {
  return new UserError({
    reason: "ArchiveUnfinished",
    message: say`${label} is incomplete`,
    why: problems.join("; ") || undefined,
    fix: "wait until its checkpoint or copy has ended, or take it again",
  });
}
