import { createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { create } from "tar";
import { ZipFile } from "yazl";

// The time of every file is that of npm's packages: the same commit gives the same bytes, wherever and whenever.
const TIME = new Date("1985-10-26T08:15:00Z");
/** Zip has local time. */
const LOCAL_TIME = new Date(1985, 9, 26, 8, 15);

/** Writes an archive of files in a folder, in their order, with their modes: a .zip by its name, else a gzipped tar. */
export async function writeArchive(archive: string, folder: string, files: readonly string[]): Promise<void> {
  if (archive.endsWith(".zip")) await writeZip(archive, folder, files);
  // Portable: without this machine's owner and umask.
  else await create({ file: archive, cwd: folder, gzip: { level: 9 }, portable: true, mtime: TIME }, [...files]);
}

async function writeZip(archive: string, folder: string, files: readonly string[]): Promise<void> {
  const zip = new ZipFile();
  for (const file of files) {
    const executable = ((await stat(join(folder, file))).mode & 0o100) !== 0;
    const mode = executable ? 0o100755 : 0o100644;
    zip.addFile(join(folder, file), file, { mtime: LOCAL_TIME, forceDosTimestamp: true, mode, compressionLevel: 9 });
  }
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(archive));
}
