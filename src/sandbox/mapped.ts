import type { Archive } from "../archive/archive.ts";
import { rootfsChange } from "../archive/rootfs.ts";
import { allEntries } from "../criu/entries.ts";
import { fileTable } from "../criu/files/table.ts";
import { FileEntrySchema } from "../criu/gen/files_pb.ts";

/** A file of the base image that the processes had open or mapped, as CRIU found it: restored, it has to be the same. */
export interface BaseFile {
  /** Absolute, as the container calls it. */
  readonly path: string;
  readonly size: number;
  /** In lowercase hexadecimal; undefined where it has none, or is not mapped. */
  readonly buildId: string | undefined;
}

/** A descriptor for O_APPEND and O_WRONLY: CRIU compares no sizes of logs. */
const APPEND = 0o2000;
const REGULAR = 0o100000;
const FORMAT = 0o170000;

/**
 * Files of the base image whose size CRIU compares, by path: those that are in none of the archive's own files, and on no mount but the root.
 * Throws a UserError where an image is damaged.
 */
export async function baseFiles(archive: Archive, rootMount: string | undefined, signal: AbortSignal): Promise<Map<string, BaseFile>> {
  await using change = await rootfsChange(archive, signal);
  const { remaps } = await fileTable(archive);
  const files = new Map<string, BaseFile>();
  for await (const { reg } of allEntries(archive, "files.img", FileEntrySchema)) {
    if (reg === undefined || reg.size === 0n || ((reg.mode ?? 0) & FORMAT) !== REGULAR || (reg.flags & APPEND) !== 0) continue;
    // What was deleted is in the archive, or in no image.
    if (remaps.has(reg.id)) continue;
    if (String(reg.mntId) !== rootMount || change.members.get(reg.name) !== undefined || change.deleted.has(reg.name)) continue;
    const buildId = reg.buildId.length === 0 ? undefined : bytesOf(reg.buildId);
    files.set(reg.name, { path: reg.name, size: Number(reg.size), buildId: buildId ?? files.get(reg.name)?.buildId });
  }
  return files;
}

/** CRIU keeps it as numbers of four bytes, in the order of the processor. */
function bytesOf(words: readonly number[]): string {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => bytes.writeUInt32LE(word >>> 0, index * 4));
  return bytes.toString("hex");
}
