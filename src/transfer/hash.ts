import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

const READ = 1024 * 1024;

/** SHA-256 of a file from the bytes on the disk, read behind whoever writes it. */
export class FollowingHash {
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  readonly #buffer = Buffer.allocUnsafe(READ);
  #at = 0;
  #limit = 0;
  #reading: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Everything before `limit` is on the disk by now. */
  advance(limit: number): void {
    this.#limit = Math.max(this.#limit, limit);
    if (this.#busy || this.#limit - this.#at < READ) return;
    this.#busy = true;
    this.#reading = this.#read().finally(() => {
      this.#busy = false;
    });
    this.#reading.catch(() => undefined);
  }

  /** In hexadecimal, of the first `size` bytes. */
  async finish(size: number): Promise<string> {
    await this.#reading;
    this.#limit = size;
    await this.#read();
    return this.#hash.digest("hex");
  }

  async #read(): Promise<void> {
    while (this.#at < this.#limit) {
      const { bytesRead } = await this.#file.read(this.#buffer, 0, Math.min(READ, this.#limit - this.#at), this.#at);
      if (bytesRead === 0) throw new Error("the file is shorter than what was written to it");
      this.#hash.update(this.#buffer.subarray(0, bytesRead));
      this.#at += bytesRead;
    }
  }
}
