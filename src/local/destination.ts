import { createHash } from "node:crypto";
import { link, lstat, open, rename, stat, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { UserError } from "../model/error.ts";
import { formatBytes } from "../model/units.ts";
import { cannotWrite } from "./failure.ts";

/**
 * Where an archive called `name` on its node goes: into DEST where that is a directory, else to DEST itself; without DEST
 * into the working directory. Absolute. Throws a UserError where DEST ends like a directory and is none.
 */
export async function destinationOf(name: string, given: string | undefined, several: boolean): Promise<string> {
  const to = given === undefined || given === "" ? "." : given;
  const isDirectory = await stat(to).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isDirectory) return resolve(join(to, localName(name)));
  if (several || /[/\\]$/.test(to)) {
    throw new UserError({ reason: "DestinationUnusable", message: `there is no directory ${to}`, fix: `mkdir ${to}`, exitCode: 2 });
  }
  return resolve(to);
}

/** A name from a node as it may be called here: "-" for ":" (Windows, and GNU tar takes "a:b" for a host) and for what file systems refuse. */
export function localName(name: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what has to go
  const plain = basename(name.replaceAll("\\", "-")).replaceAll(/[:<>"|?*\u0000-\u001f\u007f-\u009f]/g, "-");
  if (sep === "/") return plain;
  return plain.replace(/^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i, "$1-").replace(/[. ]$/, "-");
}

export type Existing = { readonly kind: "none" } | { readonly kind: "file"; readonly bytes: number } | { readonly kind: "other" };

/** What is there under the final name already, be it a link. */
export async function existing(path: string): Promise<Existing> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? { kind: "file", bytes: stats.size } : { kind: "other" };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "none" };
    throw cannotWrite(path, error);
  }
}

/** Throws LocalDiskFull where `bytes` more would not fit beside `path`. A file system that does not tell is taken at its word. */
export async function ensureRoom(path: string, bytes: number): Promise<void> {
  const room = await freeBytes(dirname(path));
  if (bytes <= room) return;
  throw new UserError({
    reason: "LocalDiskFull",
    message: `there is no space for ${path}`,
    why: `${formatBytes(bytes)} are needed, ${formatBytes(room)} are free`,
    fix: "make room, or choose another destination",
  });
}

/** Free in a directory for this user; Infinity where the file system does not tell. */
export async function freeBytes(directory: string): Promise<number> {
  return await statfs(directory).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => Infinity,
  );
}

/**
 * Gives a finished part its final name: first all of it is on the disk, then the name appears at once. Without `replace`, what
 * appeared there meanwhile is not overwritten.
 */
export async function publish(part: { readonly path: string; sync(): Promise<void> }, final: string, replace: boolean): Promise<void> {
  try {
    await part.sync();
    if (replace) await rename(part.path, final);
    else {
      await link(part.path, final);
      await unlink(part.path);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw alreadyThere(final);
    // File systems without links: the moment between the look and the name is all that can be had.
    if (!replace && /^(EPERM|ENOTSUP|EOPNOTSUPP|ENOSYS|EMLINK)$/.test(code ?? "")) {
      if ((await existing(final)).kind !== "none") throw alreadyThere(final);
      await rename(part.path, final);
    } else throw cannotWrite(final, error);
  }
  await syncDirectory(dirname(final));
}

export function alreadyThere(path: string): UserError {
  return new UserError({
    reason: "AlreadyExists",
    message: `${path} is there already, and is not the same`,
    fix: "give --force to replace it, or another destination",
  });
}

/** In hexadecimal. */
export async function sha256OfFile(path: string, signal: AbortSignal): Promise<string> {
  const file = await open(path, "r");
  const hash = createHash("sha256");
  for await (const piece of file.createReadStream({ highWaterMark: 1 << 20, signal })) hash.update(piece as Buffer);
  return hash.digest("hex");
}

/** So that the name survives a power cut too; Windows cannot, and need not. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r").catch(() => undefined);
  await directory?.sync().catch(() => undefined);
  await directory?.close();
}
