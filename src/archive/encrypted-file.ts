import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { systemMessage } from "../local/failure.ts";
import { temporaryFile, type TemporaryFile } from "../local/temporary.ts";
import { writeAll } from "../local/write.ts";
import { UserError } from "../model/error.ts";
import { say, type Phrase } from "../model/phrase.ts";
import { formatBytes } from "../model/units.ts";
import { readFully } from "./file.ts";

/** Room that is left on the file system, in bytes. */
const SPARED = 64 << 20;

const ALGORITHM = "aes-256-ctr";
/** In bytes; each is encrypted with a number of its own. */
const BLOCK = 16;

/**
 * A file of mode 0600 that has no name any more, appended to and read anywhere. What is in it is encrypted with a key that only this process
 * has, so that the disk never has a dump in plain.
 */
export class EncryptedFile implements AsyncDisposable {
  readonly #what: Phrase;
  readonly #disk: TemporaryFile;
  readonly #key = randomBytes(32);
  /** In order from the first byte on. */
  readonly #cipher = createCipheriv(ALGORITHM, this.#key, counter(0));
  #size = 0;

  private constructor(what: Phrase, disk: TemporaryFile) {
    this.#what = what;
    this.#disk = disk;
  }

  /** `what` is to be in it, for errors. Throws a UserError where no temporary file can be created. */
  static async create(what: Phrase): Promise<EncryptedFile> {
    try {
      return new EncryptedFile(what, await temporaryFile());
    } catch (error) {
      throw noSpace(say`cannot create a temporary file in ${tmpdir()}`, error);
    }
  }

  /** Throws a UserError where the file system for temporary files is full or cannot be written. */
  async append(bytes: Buffer): Promise<void> {
    const { file, directory, freeBytes } = this.#disk;
    const room = Math.max(0, freeBytes - SPARED);
    if (this.#size + bytes.length > room) {
      throw noSpace(say`not enough space for ${this.#what}`, undefined, say`${directory} has ${formatBytes(room)} free`);
    }
    try {
      await writeAll(file, this.#cipher.update(bytes), this.#size);
    } catch (error) {
      throw noSpace(say`cannot write a temporary file in ${directory}`, error);
    }
    this.#size += bytes.length;
  }

  /** `length` bytes from `offset`, which the caller knows to be there. */
  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    const bytes = await readFully(this.#disk.file.fd, offset, length, into);
    const decipher = createDecipheriv(ALGORITHM, this.#key, counter(Math.floor(offset / BLOCK)));
    decipher.update(Buffer.alloc(offset % BLOCK));
    return decipher.update(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk[Symbol.asyncDispose]();
  }
}

/** The key is used for one file: its blocks are numbered from 0. */
function counter(block: number): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  bytes.writeUIntBE(block, BLOCK - 6, 6);
  return bytes;
}

function noSpace(message: Phrase, cause: unknown, why?: Phrase): UserError {
  const said = cause instanceof UserError ? cause.whole : cause === undefined ? undefined : systemMessage(cause);
  return new UserError({
    reason: "NoTemporarySpace",
    message,
    why: why ?? said,
    fix: "set TMPDIR to a directory with more space that only you can read",
    cause,
  });
}
