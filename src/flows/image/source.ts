import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { ArchiveBytes } from "../../image/layer.ts";
import { UserError } from "../../model/error.ts";

const READ = 1 << 20;

/** An archive on this machine as bytes in order; "-" is standard input. Throws a UserError where there is no such file. */
export async function archiveFile(path: string): Promise<ArchiveBytes> {
  if (path === "-") {
    const bytes = (): AsyncIterable<Buffer> => createReadStream("", { fd: 0, autoClose: false, highWaterMark: READ });
    return { label: "standard input", size: undefined, open: bytes, repeatable: false };
  }
  const file = await open(path, "r").catch((error: unknown) => {
    throw cannotOpen(path, error);
  });
  const stats = await file.stat().finally(async () => await file.close());
  if (stats.isDirectory()) throw new UserError({ reason: "NotAnArchive", message: `${path} is a directory, not an archive` });
  const plain = stats.isFile();
  return {
    label: path,
    size: plain ? stats.size : undefined,
    open: () => createReadStream(path, { highWaterMark: READ }),
    repeatable: plain,
  };
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
