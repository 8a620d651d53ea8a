import { constants } from "node:fs";
import { open, statfs, unlink, type FileHandle } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../model/error.ts";
import { formatBytes } from "../model/units.ts";
import { readFully } from "./file.ts";

/** Up to this many bytes stay in memory: most nested archives never touch the disk. */
const IN_MEMORY = 4 << 20;
/** Room that is left on the file system, in bytes. */
const SPARED = 64 << 20;

/** Bytes appended once and read anywhere: in memory while they are few, else in a file of mode 0600 that has no name any more. */
export class TemporaryBytes implements AsyncDisposable {
  readonly #label: string;
  #memory: Buffer[] = [];
  #file: FileHandle | undefined;
  /** Where the file could not be unlinked while open. */
  #path: string | undefined;
  #room = 0;
  size = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** Throws a UserError where the file system for temporary files is full or cannot be written. */
  async append(bytes: Buffer): Promise<void> {
    if (this.#file === undefined && this.size + bytes.length > IN_MEMORY) await this.#toDisk();
    if (this.#file === undefined) this.#memory.push(bytes);
    else await this.#write(bytes, this.size);
    this.size += bytes.length;
  }

  /** `length` bytes from `offset`, which the caller knows to be there. */
  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    if (this.#file === undefined) {
      if (this.#memory.length > 1) this.#memory = [Buffer.concat(this.#memory)];
      return this.#memory[0]?.subarray(offset, offset + length) ?? Buffer.alloc(0);
    }
    return await readFully(this.#file.fd, offset, length, into);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#memory = [];
    await this.#file?.close();
    if (this.#path !== undefined) await unlink(this.#path);
    this.#file = undefined;
    this.#path = undefined;
  }

  async #toDisk(): Promise<void> {
    const directory = tmpdir();
    const path = join(directory, `kubectl-checkpoint-${randomUUID()}`);
    try {
      this.#file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      this.#path = path;
      await unlink(path);
      this.#path = undefined;
    } catch (error) {
      // Some systems do not unlink what is open: then it goes when it is closed.
      if (this.#file === undefined) throw this.#failed(`cannot make a temporary file in ${directory}`, error);
    }
    const free = await statfs(directory).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => Infinity,
    );
    this.#room = free - SPARED;
    await this.#write(Buffer.concat(this.#memory), 0);
    this.#memory = [];
  }

  async #write(bytes: Buffer, position: number): Promise<void> {
    if (position + bytes.length > this.#room)
      throw this.#failed(`${this.#label}, expanded, does not fit into ${tmpdir()} (${formatBytes(Math.max(0, this.#room))} free)`);
    try {
      for (let written = 0; written < bytes.length;) {
        const { bytesWritten } = (await this.#file?.write(bytes, written, bytes.length - written, position + written)) ?? {
          bytesWritten: 0,
        };
        written += bytesWritten;
      }
    } catch (error) {
      throw this.#failed(`cannot write a temporary file in ${tmpdir()}`, error);
    }
  }

  #failed(message: string, cause?: unknown): UserError {
    return new UserError({
      reason: "NoTemporarySpace",
      message,
      why: cause instanceof Error ? cause.message : undefined,
      fix: "name another directory for temporary files with TMPDIR, one that others cannot read",
      cause,
    });
  }
}
