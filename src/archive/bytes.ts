import type { Unlock } from "../age/open.ts";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { Source } from "../model/source.ts";
import type { Archive, OpenArchive, OpenOptions } from "./archive.ts";
import type { Budget } from "./budget.ts";
import { compressionOf, type Compression } from "./compression.ts";
import { bufferSource, paddingOr, pieces, readAhead } from "./sources.ts";
import { indexTar } from "./tar/index.ts";

/** Headers of small members lie close together: one read for several, in bytes. */
const WINDOW = 16 << 10;
/** What tells the compression, in bytes. */
const HEAD = 8;

/** How the bytes of an archive are opened. */
export interface BytesOptions extends OpenOptions {
  readonly budget: Budget;
  /** They hold files of a container, inside another archive. */
  readonly ofFiles?: boolean;
  /** They are part of what counts already as the archive. */
  readonly counted?: boolean;
  /** Lets go of where they come from. */
  readonly close?: () => Promise<void>;
}

/** The first bytes of an age file, and of one in ASCII armor. */
const AGE = /^(age-encr|-----BEG)/;

const NOTHING_TO_CLOSE = async (): Promise<void> => {};

/**
 * Opens an archive in bytes that can be read anywhere: plain, gzip or zstd. `label` is what it is called in errors. Throws a UserError where
 * it is none.
 */
export async function openBytes(source: Source, label: string, options: BytesOptions): Promise<OpenArchive> {
  const { budget, ofFiles = false, counted = ofFiles, close = NOTHING_TO_CLOSE } = options;
  if (source.size === 0) throw empty(label);
  const head = await source.read(0, Math.min(HEAD, source.size));
  if (!ofFiles && AGE.test(head.toString("latin1"))) {
    const { decryptedSource, isAgeSource } = await import("../age/open.ts");
    if (await isAgeSource(source, label)) {
      const plain = await decryptedSource(source, label, unlockOf(label, options));
      return await openBytes(plain, label, once(options));
    }
  }
  const compression = compressionOf(head, label);
  const plain = compression === "none" ? source : ofFiles ? await expandedAtOnce(source, compression, budget) : undefined;
  if (plain === undefined) {
    const { openStream } = await import("./stream.ts");
    return await openStream({ input: pieces(source), compression, bytes: source.size, label, ofFiles, close }, options);
  }
  if (!counted) budget.opened(source.size);
  const index = await indexTar(readAhead(plain, WINDOW), { label, budget, ofFiles });
  return {
    ...index,
    form: "engine",
    compression,
    bytes: source.size,
    rest: async () => ({ afterArchive: await paddingOr(plain, index.end), afterCompressed: 0 }),
    [Symbol.asyncDispose]: close,
  };
}

/** In bytes, before and after it is expanded. */
const SMALL = 64 << 10;
const SMALL_EXPANDED = 1 << 20;

/**
 * What most containers change of their root file system is little: a stream would take longer to be made than to expand it. Undefined where
 * it is more, damaged, or followed by something.
 */
async function expandedAtOnce(source: Source, compression: Compression, budget: Budget): Promise<Source | undefined> {
  if (compression !== "gzip" || source.size > SMALL) return undefined;
  const { gunzipSync } = await import("node:zlib");
  try {
    // The types do not know of `info`.
    const expanded: unknown = gunzipSync(await source.read(0, source.size), { info: true, maxOutputLength: SMALL_EXPANDED });
    const { buffer, engine } = expanded as { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } };
    if (engine.bytesWritten !== source.size) return undefined;
    budget.decode(buffer.length);
    return bufferSource(buffer);
  } catch (error) {
    if (error instanceof UserError) throw error;
    return undefined;
  }
}

/** Opens an archive of which the bytes come in order; `bytes` is how many, where it is known. */
export async function openPieces(
  input: AsyncIterable<Buffer>,
  label: string,
  bytes: number | undefined,
  options: BytesOptions,
): Promise<OpenArchive> {
  const { close = NOTHING_TO_CLOSE } = options;
  const { head, whole } = await begun(input, label);
  if (AGE.test(head.toString("latin1"))) {
    const { decryptedPieces } = await import("../age/open.ts");
    const plain = decryptedPieces(whole, label, unlockOf(label, options));
    return await openPieces(plain, label, bytes, once(options));
  }
  const compression = compressionOf(head, label);
  const { openStream } = await import("./stream.ts");
  return await openStream({ input: whole, compression, bytes, label, ofFiles: false, close }, options);
}

/**
 * Opens an archive of files of the container inside an archive: a root file system's change, /dev/shm, a volume. Its name says nothing
 * of its compression.
 */
export async function openNested(archive: Archive, name: string, options: OpenOptions = {}): Promise<OpenArchive> {
  return await openBytes(archive.open(name), name, { ...options, budget: archive.budget, ofFiles: true });
}

/** Opens the layer of an image of files, of which the bytes come in order. */
export async function openLayer(input: AsyncIterable<Buffer>, label: string, bytes: number, options: BytesOptions): Promise<OpenArchive> {
  const { head, whole } = await begun(input, label);
  const { openStream } = await import("./stream.ts");
  const stream = { input: whole, compression: compressionOf(head, label), bytes, label, ofFiles: true, close: NOTHING_TO_CLOSE };
  options.budget.opened(bytes);
  return await openStream(stream, options);
}

/** Some tools put other things than files into images, as layers of their own. */
export async function orNoArchive(opened: Promise<OpenArchive>): Promise<OpenArchive | undefined> {
  try {
    return await opened;
  } catch (error) {
    if (error instanceof UserError && error.reason === "NotAnArchive") return undefined;
    throw error;
  }
}

/** The first bytes, and all of them, those included. Throws where there are none. */
async function begun(input: AsyncIterable<Buffer>, label: string): Promise<{ head: Buffer; whole: AsyncGenerator<Buffer> }> {
  const iterator = input[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  const head = await headOf(iterator);
  if (head.length === 0) throw empty(label);
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { head, whole: whole() };
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

/** What is inside an age file is not one again. */
function once(options: BytesOptions): BytesOptions {
  const { unlock, ...rest } = options;
  return unlock === undefined ? options : rest;
}

function unlockOf(label: string, { unlock }: OpenOptions): Unlock {
  if (unlock !== undefined) return unlock;
  throw new UserError({ reason: "IdentityNeeded", message: say`${label} is encrypted, which cannot be read here` });
}

function empty(label: string): UserError {
  return new UserError({ reason: "NotAnArchive", message: say`${label} is empty` });
}
