import { constants } from "node:fs";
import { mkdir, open, stat, unlink } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { UserError } from "../model/error.ts";

/** Bytes, or how many zeros. */
export type Written = Buffer | number;

/** A file being written. Disposed before it is finished, nothing of it is left. */
export interface NewFile extends AsyncDisposable {
  append(bytes: Buffer): Promise<void>;
  /** Leaves so many zeros, as a hole where the file system has them. */
  skip(count: number): void;
  /** Answers with its size in bytes. */
  finish(): Promise<number>;
}

/** A new file of mode 0600. Throws a UserError where something of that name is there already, be it a link. */
export async function createNew(path: string): Promise<NewFile> {
  const file = await failing(path, async () => await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600));
  let size = 0;
  let finished = false;
  return {
    async append(bytes) {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await failing(path, async () => await file.write(bytes, done, bytes.length - done, size));
        done += bytesWritten;
        size += bytesWritten;
      }
    },
    skip(count) {
      size += count;
    },
    async finish() {
      // A hole at the end is written by nothing else.
      await failing(path, async () => await file.truncate(size));
      finished = true;
      return size;
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      if (!finished) await unlink(path);
    },
  };
}

/** Writes the whole of a new file, or nothing of it: see createNew. */
export async function writeNew(path: string, pieces: AsyncIterable<Written>, signal: AbortSignal): Promise<number> {
  await using file = await createNew(path);
  for await (const piece of pieces) {
    signal.throwIfAborted();
    if (typeof piece === "number") file.skip(piece);
    else await file.append(piece);
  }
  return await file.finish();
}

/** A new directory, mode 0700. Throws a UserError where something of that name is there already, be it a link. */
export async function newDirectory(path: string): Promise<void> {
  await failing(path, async () => await mkdir(path, 0o700));
}

/** A path below a directory, by names from an archive (none of them ".."); the directories on the way are made. */
export async function pathBelow(directory: string, names: readonly string[]): Promise<string> {
  if (names.includes("..")) throw new Error(`${names.join("/")} would lie outside of ${directory}`);
  const path = join(directory, ...names.map(localName));
  await failing(path, async () => await mkdir(dirname(path), { recursive: true, mode: 0o700 }));
  return path;
}

/**
 * Where something called `name` goes: into `to` where that is a directory (or ends like one), else to `to` itself;
 * without `to`, into the working directory.
 */
export async function placeFor(name: string, to: string | undefined): Promise<string> {
  if (to === undefined) return localName(name);
  const isDirectory = await stat(to).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isDirectory && /[/\\]$/.test(to))
    throw new UserError({ reason: "NoSuchFile", message: `there is no directory ${to}`, fix: `mkdir ${to}` });
  return isDirectory ? join(to, localName(name)) : to;
}

/** A name from an archive as this system's files may be called: Windows refuses some characters and some names. */
function localName(name: string): string {
  const plain = basename(name);
  if (sep === "/") return plain;
  return plain
    .replaceAll(/[<>:"|?*\\]/g, "-")
    .replace(/^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i, "$1-")
    .replace(/[. ]$/, "-");
}

async function failing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): UserError {
  if ((error as NodeJS.ErrnoException).code === "EEXIST") {
    return new UserError({
      reason: "AlreadyExists",
      message: `${path} is there already`,
      fix: "remove it, or choose another place with --to",
      cause: error,
    });
  }
  return new UserError({ reason: "CannotWrite", message: `cannot write ${path}`, why: (error as Error).message, cause: error });
}
