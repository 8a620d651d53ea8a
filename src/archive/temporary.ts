import { say } from "../model/phrase.ts";
import type { EncryptedFile } from "./encrypted-file.ts";

/** Up to this many bytes stay in memory: most nested archives never touch the disk. */
const IN_MEMORY = 4 << 20;

/** Bytes appended once and read anywhere: in memory while they are few, else in an EncryptedFile. */
export class TemporaryBytes implements AsyncDisposable {
  readonly #label: string;
  #memory: Buffer[] = [];
  #disk: EncryptedFile | undefined;
  size = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** Throws a UserError where the file system for temporary files is full or cannot be written. */
  async append(bytes: Buffer): Promise<void> {
    if (this.#disk === undefined && this.size + bytes.length > IN_MEMORY) await this.#toDisk();
    if (this.#disk === undefined) this.#memory.push(bytes);
    else await this.#disk.append(bytes);
    this.size += bytes.length;
  }

  /** `length` bytes from `offset`, which the caller knows to be there. */
  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    if (this.#disk !== undefined) return await this.#disk.read(offset, length, into);
    if (this.#memory.length > 1) this.#memory = [Buffer.concat(this.#memory)];
    return this.#memory[0]?.subarray(offset, offset + length) ?? Buffer.alloc(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#memory = [];
    const disk = this.#disk;
    this.#disk = undefined;
    await disk?.[Symbol.asyncDispose]();
  }

  async #toDisk(): Promise<void> {
    const { EncryptedFile: Disk } = await import("./encrypted-file.ts");
    this.#disk = await Disk.create(say`${this.#label} when it is decompressed`);
    await this.#disk.append(Buffer.concat(this.#memory));
    this.#memory = [];
  }
}
