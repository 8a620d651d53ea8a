import { open, rename, rm } from "node:fs/promises";
import { cannotWrite } from "./failure.ts";

/**
 * Writes a file, mode 0600, which takes the place of what is there at once and on the disk; where that fails, what was there stays.
 * Throws LocalDiskFull and DestinationUnusable.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.new`;
  try {
    // Not through a link, nor into what somebody else has put there.
    await rm(next, { force: true });
    try {
      await write(next, text);
      await rename(next, path);
    } catch (error) {
      // Half a file would only take up room.
      await rm(next, { force: true });
      throw error;
    }
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

async function write(path: string, text: string): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(text);
  await file.sync();
}
