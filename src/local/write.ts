import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Directory } from "./directory.ts";
import { writing } from "./failure.ts";

/** Every byte of a piece, at a place or behind what was written last. */
export async function writeAll(file: FileHandle, bytes: Buffer, position: number | null = null): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const at = position === null ? null : position + done;
    done += (await file.write(bytes, done, bytes.length - done, at)).bytesWritten;
  }
}

/** SHA-256 of an open file from its beginning, in lowercase hexadecimal. Throws the signal's reason. */
export async function sha256Of(file: FileHandle, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** Bytes, or how many zeros. */
export type Written = Buffer | number;

/** A file being written. Disposed before it is finished, nothing of it is left. */
export interface NewFile extends AsyncDisposable {
  append(bytes: Buffer): Promise<void>;
  /** Leaves so many zeros, as a hole where the file system has them. */
  skip(count: number): void;
  /** Answers with its size in bytes. */
  finish(): Promise<number>;
}

/** A new file, mode 0600. Throws AlreadyExists where something has that name, be it a link. */
export async function createNew(directory: Directory, name: string): Promise<NewFile> {
  const path = directory.pathOf(name);
  const file = await directory.create(name);
  let size = 0;
  let finished = false;
  return {
    async append(bytes) {
      await writing(path, async () => await writeAll(file, bytes, size));
      size += bytes.length;
    },
    skip(count) {
      size += count;
    },
    async finish() {
      // A hole at the end is written by nothing else.
      await writing(path, async () => await file.truncate(size));
      finished = true;
      return size;
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      if (!finished) await directory.remove(name);
    },
  };
}

/** Writes the whole of a new file, or nothing of it: see createNew. Answers with its size in bytes. */
export async function writeNew(directory: Directory, name: string, pieces: AsyncIterable<Written>, signal: AbortSignal): Promise<number> {
  await using file = await createNew(directory, name);
  for await (const piece of pieces) {
    signal.throwIfAborted();
    if (typeof piece === "number") file.skip(piece);
    else await file.append(piece);
  }
  return await file.finish();
}
