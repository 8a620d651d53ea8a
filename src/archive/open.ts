import { closeSync, constants, createReadStream, existsSync, fstatSync, openSync, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { UserError, usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { OpenArchive, OpenOptions, RemoteImage } from "./archive.ts";
import { Budget } from "./budget.ts";
import { openBytes, openPieces, orNoArchive, type BytesOptions } from "./bytes.ts";
import { elsewhere } from "./elsewhere.ts";
import { isCheckpoint } from "./engines/engine.ts";
import { notFiles } from "./expected.ts";
import { fileSource } from "./file.ts";

/**
 * Opens what FILE names: an archive on this machine, plain, gzip or zstd, told by content and not by name; "-", which is standard
 * input, where it is given; the image of a checkpoint, as oci:DIR, oci-archive:FILE (either with :NAME after it), an archive of OCI or
 * Docker, or registry:REFERENCE; a directory or a tar archive of CRIU's images. Throws a UserError where there is no such file, it
 * cannot be read, or it is none of these.
 */
export async function openArchive(file: string, given: OpenOptions = {}): Promise<OpenArchive> {
  const options = { ...given, budget: given.budget ?? new Budget() };
  const archive = await openForm(file, options);
  const problems = notFiles(archive);
  return problems.length === 0 ? archive : { ...archive, problems: [...archive.problems, ...problems] };
}

async function openForm(file: string, options: BytesOptions): Promise<OpenArchive> {
  const [, form, rest = ""] = /^(registry|oci|oci-archive):(.*)$/s.exec(file) ?? [];
  if (form === "registry") return await openRemote(rest, options);
  const { path, wanted } = form === undefined ? { path: file, wanted: undefined } : withoutName(rest);
  const archive = await openPath(path, options);
  if (form === undefined && isCheckpoint(archive)) return archive;
  const { unwrapped } = await import("./containers/unwrap.ts");
  return await unwrapped(archive, { ...options, label: path, wanted });
}

/**
 * The layers of an image that is no checkpoint's: of oci:DIR or oci-archive:FILE (either with :NAME after it), or of a registry. `architecture`
 * ("amd64") chooses where a registry has several. Throws a UserError where there is no such image.
 */
export async function openImage(image: string, given: OpenOptions, architecture?: string): Promise<RemoteImage> {
  const [, form, rest = ""] = /^(oci|oci-archive):(.*)$/s.exec(image) ?? [];
  if (form === undefined) {
    if (given.pull === undefined) throw usageError(say`${image} cannot be pulled here`);
    return await given.pull(image, architecture);
  }
  const { path, wanted } = withoutName(rest);
  const options = { ...given, budget: given.budget ?? new Budget() };
  const archive = await openPath(path, options);
  try {
    const { layersOf } = await import("./containers/image.ts");
    return await layersOf(archive, { ...options, label: path, wanted });
  } catch (error) {
    await archive[Symbol.asyncDispose]();
    throw error;
  }
}

/** A path, and the name of an image after it, where the whole is no path. */
function withoutName(text: string): { readonly path: string; readonly wanted: string | undefined } {
  for (let colon = text.length; colon > 0; colon = text.lastIndexOf(":", colon - 1)) {
    const path = text.slice(0, colon);
    if (existsSync(path)) return { path, wanted: text.slice(colon + 1) || undefined };
  }
  return { path: text, wanted: undefined };
}

async function openPath(path: string, options: BytesOptions): Promise<OpenArchive> {
  if (path === "-" && options.stdin !== undefined) return await openReadable(options.stdin(), "standard input", options);
  const stats = orCannotOpen(path, () => statSync(path));
  if (stats.isDirectory()) return await (await import("./containers/directory.ts")).openDirectory(path, options);
  if (stats.isFIFO()) return await openReadable(await namedPipe(path), path, options);
  if (!stats.isFile()) return await openReadable(createReadStream(path), path, options);
  // At once: a trip through the thread pool would cost more than the opening.
  let fd: number | undefined = orCannotOpen(path, () => openSync(path, "r"));
  const close = async (): Promise<void> => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  try {
    return await openBytes(fileSource(fd, fstatSync(fd).size), path, { ...options, close });
  } catch (error) {
    await close();
    throw error;
  }
}

async function openReadable(stream: Readable, label: string, options: BytesOptions): Promise<OpenArchive> {
  const { signal } = options;
  const end = (): void => void stream.destroy();
  signal?.addEventListener("abort", end);
  const close = async (): Promise<void> => {
    signal?.removeEventListener("abort", end);
    end();
  };
  const input = async function* (): AsyncGenerator<Buffer, void> {
    try {
      yield* stream;
    } catch (error) {
      signal?.throwIfAborted();
      throw cannotOpen(label, error);
    } finally {
      signal?.throwIfAborted();
    }
  };
  return await openPieces(input(), label, undefined, { ...options, close });
}

/** The layer of an image in a registry that holds the checkpoint. Its bytes are read to their end: only then their digest is known to hold. */
async function openRemote(reference: string, options: BytesOptions): Promise<OpenArchive> {
  if (options.pull === undefined) throw usageError(say`registry:${reference} cannot be read here`);
  const image = await options.pull(reference);
  try {
    for (const layer of image.layers.toReversed()) {
      const archive = await orNoArchive(openPieces(layer.open(), `the layer of ${reference}`, layer.bytes, options));
      if (archive === undefined) continue;
      await archive.rest();
      if (isCheckpoint(archive)) return { ...archive, [Symbol.asyncDispose]: async () => await closeBoth(archive, image) };
      await archive[Symbol.asyncDispose]();
    }
  } catch (error) {
    await image[Symbol.asyncDispose]();
    throw error;
  }
  await image[Symbol.asyncDispose]();
  throw new UserError({
    reason: "NotACheckpoint",
    message: say`${reference} is not the image of a checkpoint: none of its layers holds one`,
  });
}

async function closeBoth(archive: AsyncDisposable, image: AsyncDisposable): Promise<void> {
  await archive[Symbol.asyncDispose]();
  await image[Symbol.asyncDispose]();
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
  if (code === "ENOENT")
    return new UserError({ reason: "NoSuchFile", message: say`there is no file ${path}`, fix: elsewhere(path), cause: error });
  return new UserError({
    reason: code === "EACCES" ? "PermissionDenied" : "CannotOpen",
    message: say`cannot open ${path}`,
    why: code === "EACCES" ? "you may not read it: an archive is a memory dump, readable by its owner only" : (error as Error).message,
    cause: error,
  });
}
