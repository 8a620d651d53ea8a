import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Contents } from "../../../criu/contents.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import { buildIdOf } from "../../../elf/reader.ts";
import type { Source } from "../../../model/source.ts";

/** The bytes of mapped files: of those that the container changed, deleted ones and memfds in the archive, else in a root file system. */
export class Programs implements AsyncDisposable {
  readonly #contents: Contents;
  readonly #root: RootFiles;
  readonly #table: FileTable;
  readonly #tell: Tell;
  readonly #known = new Map<number, Promise<Source | undefined>>();

  constructor(contents: Contents, root: string | undefined, table: FileTable, tell: Tell) {
    this.#contents = contents;
    this.#root = new RootFiles(root);
    this.#table = table;
    this.#tell = tell;
  }

  /** By its id in files.img; undefined where it is not to be had. What cannot be read goes to `tell`, once. */
  async of(fileId: number): Promise<Source | undefined> {
    const known = this.#known.get(fileId) ?? attempt(this.#tell, async () => await this.#find(fileId));
    this.#known.set(fileId, known);
    return await known;
  }

  async #find(fileId: number): Promise<Source | undefined> {
    const { name = "", buildId } = this.#table.files.get(fileId) ?? {};
    return (await this.#contents.of(fileId))?.source ?? (await this.#root.of(name, buildId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#root[Symbol.asyncDispose]();
  }
}

/** Programs and libraries in a root file system that extract --base-image wrote, where they are those that were mapped. */
class RootFiles implements AsyncDisposable {
  readonly #root: string | undefined;
  readonly #opened: FileHandle[] = [];

  constructor(root: string | undefined) {
    this.#root = root;
  }

  /** Undefined where there is none, or one with another build ID: its symbols would be wrong. */
  async of(path: string, buildId: string | undefined): Promise<Source | undefined> {
    if (this.#root === undefined || buildId === undefined) return undefined;
    // Whoever opens a FIFO waits for its other end: not so. Windows has neither.
    const file = await open(join(this.#root, path), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch(() => undefined);
    if (file === undefined) return undefined;
    this.#opened.push(file);
    const stats = await file.stat();
    if (!stats.isFile()) return undefined;
    const source: Source = {
      size: stats.size,
      async read(offset, length) {
        const bytes = Buffer.alloc(length);
        const { bytesRead } = await file.read(bytes, 0, length, offset);
        if (bytesRead < length) throw new Error(`${path} has become shorter`);
        return bytes;
      },
    };
    return (await buildIdOf(source)) === buildId ? source : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#opened.splice(0)) await file.close();
  }
}
