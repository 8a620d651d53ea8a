import { closeSync, fstatSync, openSync } from "node:fs";
import type { Unlock } from "../age/open.ts";
import type { Source } from "../model/source.ts";
import { fileSource } from "./file.ts";

/** A file on this machine as its plain bytes. */
export interface PlainFile {
  readonly source: Source;
  /** Whether the file itself is encrypted with age. */
  readonly isEncrypted: boolean;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens a file; FILE.age is decrypted by its chunks, where it is read. Throws what openSync throws, and a UserError where it cannot be decrypted. */
export async function openPlain(path: string, unlock: Unlock | undefined): Promise<PlainFile> {
  const fd = openSync(path, "r");
  const close = async (): Promise<void> => closeSync(fd);
  try {
    const source = fileSource(fd, fstatSync(fd).size);
    if (unlock !== undefined) {
      const { decryptedSource, isAgeSource } = await import("../age/open.ts");
      if (await isAgeSource(source, path))
        return { source: await decryptedSource(source, path, unlock), isEncrypted: true, [Symbol.asyncDispose]: close };
    }
    return { source, isEncrypted: false, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
