import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { Directory } from "./directory.ts";

/** A file that only this process can reach: closed, it is gone. */
export interface TemporaryFile extends AsyncDisposable {
  readonly file: FileHandle;
  /** Where it lies. */
  readonly directory: string;
  /** What was free there when it was made, in bytes; Infinity where the file system does not say. */
  readonly freeBytes: number;
}

/** A new file of mode 0600 in the directory for temporary files, without a name as soon as it is open. Throws a UserError. */
export async function temporaryFile(): Promise<TemporaryFile> {
  await using directory = await Directory.open(tmpdir(), { anyones: true });
  const name = `kubectl-checkpoint-${randomUUID()}`;
  const file = await directory.create(name);
  const freeBytes = await directory.freeBytes();
  // Some systems do not remove what is open: then it goes when it is closed.
  const named = await directory.remove(name).then(
    () => false,
    () => true,
  );
  return {
    file,
    directory: directory.path,
    freeBytes,
    async [Symbol.asyncDispose]() {
      await file.close();
      if (!named) return;
      await using again = await Directory.open(tmpdir(), { anyones: true });
      await again.remove(name);
    },
  };
}
