import { createCipheriv, createDecipheriv, randomBytes, type Cipheriv } from "node:crypto";
import { tmpdir } from "node:os";
import { systemMessage } from "../local/failure.ts";
import { temporaryFile, type TemporaryFile } from "../local/temporary.ts";
import { writeAll } from "../local/write.ts";
import { UserError } from "../model/error.ts";
import { say, type Phrase } from "../model/phrase.ts";
import { formatBytes } from "../model/units.ts";
import { readFully } from "./file.ts";

/** Up to this many bytes stay in memory: most nested archives never touch the disk. */
const IN_MEMORY = 4 << 20;
/** Room that is left on the file system, in bytes. */
const SPARED = 64 << 20;

const ALGORITHM = "aes-256-ctr";
/** In bytes; each is encrypted with a number of its own. */
const BLOCK = 16;

/**
 * Bytes appended once and read anywhere: in memory while they are few, else in a file of mode 0600 that has no name any more. What is in it
 * is encrypted with a key that only this process has, so that the disk never has a dump in plain.
 */
export class TemporaryBytes implements AsyncDisposable {
  readonly #label: string;
  #memory: Buffer[] = [];
  #disk: TemporaryFile | undefined;
  readonly #key = randomBytes(32);
  #cipher: Cipheriv | undefined;
  size = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** Throws a UserError where the file system for temporary files is full or cannot be written. */
  async append(bytes: Buffer): Promise<void> {
    if (this.#disk === undefined && this.size + bytes.length > IN_MEMORY) this.#disk = await this.#toDisk();
    if (this.#disk === undefined) this.#memory.push(bytes);
    else await this.#write(this.#disk, bytes, this.size);
    this.size += bytes.length;
  }

  /** `length` bytes from `offset`, which the caller knows to be there. */
  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    if (this.#disk === undefined) {
      if (this.#memory.length > 1) this.#memory = [Buffer.concat(this.#memory)];
      return this.#memory[0]?.subarray(offset, offset + length) ?? Buffer.alloc(0);
    }
    const bytes = await readFully(this.#disk.file.fd, offset, length, into);
    const decipher = createDecipheriv(ALGORITHM, this.#key, counter(Math.floor(offset / BLOCK)));
    decipher.update(Buffer.alloc(offset % BLOCK));
    return decipher.update(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#memory = [];
    const disk = this.#disk;
    this.#disk = undefined;
    await disk?.[Symbol.asyncDispose]();
  }

  async #toDisk(): Promise<TemporaryFile> {
    const disk = await temporaryFile().catch((error: unknown) =>
      Promise.reject(noSpace(say`cannot create a temporary file in ${tmpdir()}`, error)),
    );
    await this.#write(disk, Buffer.concat(this.#memory), 0);
    this.#memory = [];
    return disk;
  }

  async #write({ file, directory, freeBytes }: TemporaryFile, bytes: Buffer, position: number): Promise<void> {
    const room = Math.max(0, freeBytes - SPARED);
    if (position + bytes.length > room) {
      const why = say`${directory} has ${formatBytes(room)} free`;
      throw noSpace(say`not enough space for ${this.#label} when it is decompressed`, undefined, why);
    }
    try {
      // In order from the first byte on.
      this.#cipher ??= createCipheriv(ALGORITHM, this.#key, counter(0));
      await writeAll(file, this.#cipher.update(bytes), position);
    } catch (error) {
      throw noSpace(say`cannot write a temporary file in ${directory}`, error);
    }
  }
}

/** The key is used for one file: its blocks are numbered from 0. */
function counter(block: number): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  bytes.writeUIntBE(block, BLOCK - 6, 6);
  return bytes;
}

function noSpace(message: string | Phrase, cause: unknown, why?: Phrase): UserError {
  const said = cause instanceof UserError ? cause.whole : cause === undefined ? undefined : systemMessage(cause);
  return new UserError({
    reason: "NoTemporarySpace",
    message,
    why: why ?? said,
    fix: "set TMPDIR to a directory with more space that only you can read",
    cause,
  });
}
