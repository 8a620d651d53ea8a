import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { UserError } from "../model/error.ts";
import type { Source } from "../model/source.ts";
import type { Archive, IndexedArchive, Member } from "./archive.ts";
import { compressionOf, type Compression } from "./compression.ts";
import { fileSource } from "./file.ts";
import { pieces, readAhead } from "./sources.ts";
import { indexTar } from "./tar/index.ts";
import { trailingBytes } from "./trailing.ts";

export interface OpenOptions {
  /**
   * Where one pass suffices: which members are kept in memory if the archive is compressed or comes through a pipe.
   * Without it, such an archive is expanded into a temporary file, and every member can be opened.
   */
  readonly keep?: (member: Member) => boolean;
  readonly signal?: AbortSignal;
}

/** An indexed archive, and what it holds open. */
export interface OpenArchive extends IndexedArchive, AsyncDisposable {
  readonly compression: Compression;
  /** Of the file as it lies there, in bytes; undefined for a pipe. */
  readonly bytes: number | undefined;
  /**
   * Reads on to the end of the file, where compressed ones keep their checksums: how many bytes follow the archive's end
   * that are no padding. Throws a UserError where the compressed data are damaged or cut short.
   */
  trailingBytes(): Promise<number>;
}

/** Headers of small members lie close together: one read for several, in bytes. */
const WINDOW = 16 << 10;

/** Lets go of what an archive is read from. */
export type Close = () => Promise<void>;

/**
 * Opens an archive on this machine: plain, gzip or zstd, told by content and not by name; "-" is standard input.
 * Throws a UserError where there is no such file, it cannot be read, or it is no archive.
 */
export async function openArchive(path: string, options: OpenOptions = {}): Promise<OpenArchive> {
  const label = path === "-" ? "standard input" : path;
  // A pipe has no size: it is read as it comes, as is what stands behind file descriptor 0.
  if (path === "-") return await openStream(createReadStream("", { fd: 0, autoClose: false }), label, options, async () => {});
  const file = await open(path, "r").catch((error: unknown) => {
    throw cannotOpen(path, error);
  });
  const close: Close = async () => await file.close();
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) throw new UserError({ reason: "NotAnArchive", message: `${path} is a directory, not an archive` });
    if (stats.isFile()) return await openSource(fileSource(file, stats.size), label, options, close);
    return await openStream(file.createReadStream({ autoClose: false }), label, options, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens an archive inside another: a root file system's change, /dev/shm, a volume. Its name says nothing of its compression. */
export async function openNested(archive: Archive, name: string, options: OpenOptions = {}): Promise<OpenArchive> {
  return await openSource(archive.open(name), name, options, async () => {});
}

async function openSource(source: Source, label: string, options: OpenOptions, close: Close): Promise<OpenArchive> {
  if (source.size === 0) throw new UserError({ reason: "NotAnArchive", message: `${label} is empty` });
  const compression = compressionOf(await source.read(0, Math.min(8, source.size)), label);
  if (compression !== "none") {
    const { openForward } = await import("./open-forward.ts");
    return await openForward({ input: pieces(source), compression, bytes: source.size, label, close }, options);
  }
  const index = await indexTar(readAhead(source, WINDOW), { label });
  return {
    ...index,
    compression,
    bytes: source.size,
    trailingBytes: async () => await trailingBytes(source, index.end),
    [Symbol.asyncDispose]: close,
  };
}

async function openStream(stream: AsyncIterable<Buffer>, label: string, options: OpenOptions, close: Close): Promise<OpenArchive> {
  const iterator = stream[Symbol.asyncIterator]();
  const first = await iterator.next().catch((error: unknown) => {
    throw cannotOpen(label, error);
  });
  if (first.done === true) throw new UserError({ reason: "NotAnArchive", message: `${label} is empty` });
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  const { openForward } = await import("./open-forward.ts");
  return await openForward({ input: whole(), compression: compressionOf(first.value, label), bytes: undefined, label, close }, options);
}

function cannotOpen(path: string, error: unknown): UserError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return new UserError({ reason: "NoSuchFile", message: `there is no file ${path}`, cause: error });
  return new UserError({
    reason: code === "EACCES" ? "PermissionDenied" : "CannotOpen",
    message: `cannot open ${path}`,
    why: code === "EACCES" ? "you may not read it: an archive is a memory dump, readable by its owner only" : (error as Error).message,
    cause: error,
  });
}
