import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { Unlock } from "../../../age/open.ts";
import { openPlain } from "../../../archive/plain.ts";
import { pieces } from "../../../archive/sources.ts";
import type { ArchiveBytes } from "../../../image/layer.ts";
import { UserError } from "../../../model/error.ts";

const READ = 1 << 20;
/** Read into in turn: a piece is used up before the one after the next is asked for. */
const BUFFERS = 3;

/** How an archive is read: standard input, where it may come from there, and what opens FILE.age. */
export interface ArchiveSource {
  readonly stdin?: () => Readable;
  readonly unlock?: Unlock | undefined;
}

/** An archive's bytes, and whether its file is encrypted: nothing of it is written to this machine's disk in plain then. */
export interface ArchiveFile extends ArchiveBytes {
  readonly isEncrypted: boolean;
}

/** An archive on this machine as bytes in order; "-" is standard input, where it is given. Throws a UserError where there is no such file. */
export async function archiveFile(path: string, { stdin, unlock }: ArchiveSource = {}): Promise<ArchiveFile> {
  if (path === "-" && stdin !== undefined) {
    return { label: "standard input", size: undefined, open: () => streamed(stdin()), repeatable: false, isEncrypted: false };
  }
  const file = await open(path, "r").catch((error: unknown) => {
    throw cannotOpen(path, error);
  });
  const stats = await file.stat().finally(async () => await file.close());
  if (stats.isDirectory()) throw new UserError({ reason: "NotAnArchive", message: `${path} is a directory, not an archive` });
  const plain = stats.isFile();
  if (plain && stats.size > 0) {
    await using opened = await openPlain(path, unlock);
    if (opened.isEncrypted)
      return { label: path, size: opened.source.size, open: () => decryptedPieces(path, unlock), repeatable: true, isEncrypted: true };
  }
  return {
    label: path,
    size: plain ? stats.size : undefined,
    open: () => readPieces(path),
    repeatable: plain,
    isEncrypted: false,
  };
}

async function* decryptedPieces(path: string, unlock: Unlock | undefined): AsyncGenerator<Buffer, void> {
  await using opened = await openPlain(path, unlock);
  yield* pieces(opened.source, READ);
}

async function* streamed(stdin: Readable): AsyncGenerator<Buffer, void> {
  try {
    yield* stdin;
  } catch (error) {
    throw cannotOpen("standard input", error);
  }
}

/** One piece ahead of whoever uses them. A stream of Node.js would make a gigabyte of garbage of a gigabyte. */
async function* readPieces(path: string): AsyncGenerator<Buffer, void> {
  const file = await open(path, "r");
  const buffers = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafe(READ));
  const read = async (turn: number) => await file.read(buffers[turn % BUFFERS] as Buffer, 0, READ, null);
  let next = read(0);
  try {
    for (let turn = 1; ; turn += 1) {
      const { bytesRead, buffer } = await next;
      if (bytesRead === 0) return;
      next = read(turn);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await next.catch(() => undefined);
    await file.close();
  }
}

function cannotOpen(path: string, error: unknown): UserError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return new UserError({ reason: "NoSuchFile", message: `there is no file ${path}`, cause: error });
  return new UserError({
    reason: code === "EACCES" ? "PermissionDenied" : "CannotOpen",
    message: `cannot open ${path}`,
    why: code === "EACCES" ? "you may not read it: an archive is a memory dump, readable by its owner only" : message,
    cause: error,
  });
}
