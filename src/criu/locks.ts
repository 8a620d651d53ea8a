import type { Archive } from "../archive/archive.ts";
import { allEntries } from "./entries.ts";
import { FileLockEntrySchema } from "./gen/files_pb.ts";

/** A lock that a process has on a file. */
export interface FileLock {
  /** "flock" on the whole file, "posix" (fcntl) on a range, "ofd" on a range of an open file description, "lease" of fcntl(F_SETLEASE). */
  readonly kind: "flock" | "posix" | "ofd" | "lease" | "unknown";
  readonly mode: "read" | "write" | "none" | "unknown";
  readonly pid: number;
  readonly fd: number;
  /** In bytes; a length of 0 reaches to the end, wherever that will be. */
  readonly start: number;
  readonly length: number;
}

/** FL_* of CRIU. */
const KINDS: Readonly<Record<number, FileLock["kind"]>> = { 1: "posix", 2: "flock", 4: "ofd", 8: "lease" };
/** F_RDLCK and so on, whatever kind it is. */
const MODES: Readonly<Record<number, FileLock["mode"]>> = { 0: "read", 1: "write", 2: "none" };

/** Of filelocks.img, which CRIU writes where --file-locks was asked for. Throws a UserError where it is damaged. */
export async function fileLocks(archive: Archive): Promise<FileLock[]> {
  const locks: FileLock[] = [];
  for await (const { flag, type, pid, fd, start, len } of allEntries(archive, "filelocks.img", FileLockEntrySchema)) {
    locks.push({ kind: KINDS[flag] ?? "unknown", mode: MODES[type & 3] ?? "unknown", pid, fd, start: Number(start), length: Number(len) });
  }
  return locks;
}
