import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";

/** Opens a file that may be anybody's, to read it. Throws where it is something else: a pipe would be waited for, a device has no end. */
export async function openPlain(path: string): Promise<FileHandle> {
  // Windows has no such flag, and no pipe among its files.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new UserError({ reason: "NotAPlainFile", message: say`${path} is not a plain file` });
}

/** The text of such a file. Throws as well where it has more than `most` bytes. */
export async function readPlainText(path: string, most: number): Promise<string> {
  await using file = await openPlain(path);
  const { size } = await file.stat();
  if (size > most) throw new UserError({ reason: "TooLarge", message: say`${path} has ${size} bytes, more than ${most}` });
  return await file.readFile("utf8");
}
