import { closeSync, constants, createReadStream, fstatSync, openSync, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { UserError } from "../model/error.ts";
import type { Source } from "../model/source.ts";
import type { Archive, IndexedArchive, Member } from "./archive.ts";
import { Budget } from "./budget.ts";
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
  /**
   * Standard input, for those who may be asked to read it. Node.js's own stream: it may have made the descriptor one that
   * does not block, which no other reader expects.
   */
  readonly stdin?: () => Readable;
  /** Of the command; where it is not given, the archive gets one of its own. */
  readonly budget?: Budget;
}

/** What whoever opens archives for a command is given. */
export type Reading = OpenOptions & { readonly signal: AbortSignal };

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
 * Opens an archive on this machine: plain, gzip or zstd, told by content and not by name; "-" is standard input, where it is given.
 * Throws a UserError where there is no such file, it cannot be read, or it is no archive.
 */
export async function openArchive(path: string, given: OpenOptions = {}): Promise<OpenArchive> {
  const options = { ...given, budget: given.budget ?? new Budget() };
  const label = path === "-" ? "standard input" : path;
  if (path === "-" && options.stdin !== undefined) return await openStream(options.stdin(), label, options);
  const stats = orCannotOpen(path, () => statSync(path));
  if (stats.isDirectory()) throw new UserError({ reason: "NotAnArchive", message: `${path} is a directory, not an archive` });
  if (stats.isFIFO()) return await openStream(await namedPipe(path), label, options);
  if (!stats.isFile()) return await openStream(createReadStream(path), label, options);
  // At once: a trip through the thread pool would cost more than the opening.
  let fd: number | undefined = orCannotOpen(path, () => openSync(path, "r"));
  const source = fileSource(fd, fstatSync(fd).size);
  const close: Close = async () => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  try {
    return await openSource(source, label, options, close, true);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whoever opens a pipe waits for its other end, and no signal ends that: so it is opened without waiting, and read as a socket. */
async function namedPipe(path: string): Promise<Readable> {
  const { Socket } = await import("node:net");
  const fd = orCannotOpen(path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  return new Socket({ fd, readable: true, writable: false });
}

function orCannotOpen<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

/** Opens an archive inside another: a root file system's change, /dev/shm, a volume. Its name says nothing of its compression. */
export async function openNested(archive: Archive, name: string, options: OpenOptions = {}): Promise<OpenArchive> {
  return await openSource(archive.open(name), name, { budget: archive.budget, ...options }, async () => {});
}

type Budgeted = OpenOptions & { readonly budget: Budget };

/** `outermost`: not part of another archive. */
async function openSource(source: Source, label: string, options: Budgeted, close: Close, outermost = false): Promise<OpenArchive> {
  if (source.size === 0) throw new UserError({ reason: "NotAnArchive", message: `${label} is empty` });
  const compression = compressionOf(await source.read(0, Math.min(8, source.size)), label);
  if (compression !== "none") {
    const { openForward } = await import("./open-forward.ts");
    return await openForward({ input: pieces(source), compression, bytes: source.size, label, close, outermost }, options);
  }
  const { budget } = options;
  if (outermost) budget.opened(source.size);
  const index = await indexTar(readAhead(source, WINDOW), { label, budget });
  return {
    ...index,
    compression,
    bytes: source.size,
    trailingBytes: async () => await trailingBytes(source, index.end),
    [Symbol.asyncDispose]: close,
  };
}

async function openStream(stream: Readable, label: string, options: Budgeted): Promise<OpenArchive> {
  const { signal } = options;
  const end = (): void => void stream.destroy();
  signal?.addEventListener("abort", end);
  const close: Close = async () => {
    signal?.removeEventListener("abort", end);
    end();
  };
  const iterator: AsyncIterator<Buffer, undefined> = stream[Symbol.asyncIterator]();
  const first = await iterator.next().catch((error: unknown) => {
    signal?.throwIfAborted();
    throw cannotOpen(label, error);
  });
  signal?.throwIfAborted();
  if (first.done === true) throw new UserError({ reason: "NotAnArchive", message: `${label} is empty` });
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  const { openForward } = await import("./open-forward.ts");
  const compression = compressionOf(first.value, label);
  return await openForward({ input: whole(), compression, bytes: undefined, label, close, outermost: true }, options);
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
