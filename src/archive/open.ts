import { closeSync, constants, createReadStream, fstatSync, openSync, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { Source } from "../model/source.ts";
import type { Archive, OpenArchive, OpenOptions } from "./archive.ts";
import { Budget } from "./budget.ts";
import { compressionOf } from "./compression.ts";
import { fileSource } from "./file.ts";
import { paddingOr, pieces, readAhead } from "./sources.ts";
import { indexTar } from "./tar/index.ts";

/** Headers of small members lie close together: one read for several, in bytes. */
const WINDOW = 16 << 10;
/** What tells the compression of a stream, in bytes. */
const HEAD = 8;

type Budgeted = OpenOptions & { readonly budget: Budget };

/** Bytes that an archive is in, and how they are let go of. */
interface Bytes {
  /** What they are called in errors. */
  readonly label: string;
  /** They hold files of a container, inside another archive. */
  readonly ofFiles: boolean;
  readonly close: () => Promise<void>;
}

/**
 * Opens an archive on this machine: plain, gzip or zstd, told by content and not by name; "-" is standard input, where it is given.
 * Throws a UserError where there is no such file, it cannot be read, or it is no archive.
 */
export async function openArchive(path: string, given: OpenOptions = {}): Promise<OpenArchive> {
  const options = { ...given, budget: given.budget ?? new Budget() };
  if (path === "-" && options.stdin !== undefined) return await openReadable(options.stdin(), "standard input", options);
  const stats = orCannotOpen(path, () => statSync(path));
  if (stats.isDirectory()) throw new UserError({ reason: "NotAnArchive", message: say`${path} is a directory, not an archive` });
  if (stats.isFIFO()) return await openReadable(await namedPipe(path), path, options);
  if (!stats.isFile()) return await openReadable(createReadStream(path), path, options);
  // At once: a trip through the thread pool would cost more than the opening.
  let fd: number | undefined = orCannotOpen(path, () => openSync(path, "r"));
  const close = async (): Promise<void> => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  try {
    return await openSource(fileSource(fd, fstatSync(fd).size), { label: path, ofFiles: false, close }, options);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens an archive that lies in another one, or in an image. `label` is what it is called in errors. */
export async function openBytes(source: Source, label: string, options: Budgeted): Promise<OpenArchive> {
  return await openSource(source, { label, ofFiles: false, close: async () => {} }, options);
}

/**
 * Opens an archive of files of the container inside an archive: a root file system's change, /dev/shm, a volume. Its name says nothing
 * of its compression.
 */
export async function openNested(archive: Archive, name: string, options: OpenOptions = {}): Promise<OpenArchive> {
  const { budget } = archive;
  return await openSource(archive.open(name), { label: name, ofFiles: true, close: async () => {} }, { budget, ...options });
}

async function openSource(source: Source, bytes: Bytes, options: Budgeted): Promise<OpenArchive> {
  const { label, ofFiles, close } = bytes;
  const { budget } = options;
  if (source.size === 0) throw new UserError({ reason: "NotAnArchive", message: say`${label} is empty` });
  const compression = compressionOf(await source.read(0, Math.min(HEAD, source.size)), label);
  if (compression !== "none") {
    const { openStream } = await import("./stream.ts");
    return await openStream({ ...bytes, input: pieces(source), compression, bytes: source.size, budget }, options);
  }
  if (!ofFiles) budget.opened(source.size);
  const index = await indexTar(readAhead(source, WINDOW), { label, budget, ofFiles });
  return {
    ...index,
    compression,
    bytes: source.size,
    rest: async () => ({ afterArchive: await paddingOr(source, index.end), afterCompressed: 0 }),
    [Symbol.asyncDispose]: close,
  };
}

async function openReadable(stream: Readable, label: string, options: Budgeted): Promise<OpenArchive> {
  const { signal, budget } = options;
  const end = (): void => void stream.destroy();
  signal?.addEventListener("abort", end);
  const close = async (): Promise<void> => {
    signal?.removeEventListener("abort", end);
    end();
  };
  const iterator: AsyncIterator<Buffer, undefined> = stream[Symbol.asyncIterator]();
  const head = await headOf(iterator).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw cannotOpen(label, error);
  });
  signal?.throwIfAborted();
  if (head.length === 0) throw new UserError({ reason: "NotAnArchive", message: say`${label} is empty` });
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  const compression = compressionOf(head, label);
  const { openStream } = await import("./stream.ts");
  return await openStream({ input: whole(), compression, bytes: undefined, label, ofFiles: false, budget, close }, options);
}

/** The first bytes of a stream, as many as tell what it is; a pipe may give them one by one. */
async function headOf(iterator: AsyncIterator<Buffer, undefined>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < HEAD) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
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

function cannotOpen(path: string, error: unknown): UserError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return new UserError({ reason: "NoSuchFile", message: say`there is no file ${path}`, cause: error });
  return new UserError({
    reason: code === "EACCES" ? "PermissionDenied" : "CannotOpen",
    message: say`cannot open ${path}`,
    why: code === "EACCES" ? "you may not read it: an archive is a memory dump, readable by its owner only" : (error as Error).message,
    cause: error,
  });
}
