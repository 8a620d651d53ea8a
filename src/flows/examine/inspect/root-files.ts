import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { buildIdOf } from "../../../elf/reader.ts";
import type { Source } from "../../../model/source.ts";

/** Programs and libraries in a root file system that extract --base-image wrote, where they are those that were mapped. */
export class RootFiles implements AsyncDisposable {
  readonly #root: string | undefined;
  readonly #opened: FileHandle[] = [];

  constructor(root: string | undefined) {
    this.#root = root;
  }

  /** Undefined where there is none, or one with another build ID: its symbols would be wrong. */
  async of(path: string, buildId: string | undefined): Promise<Source | undefined> {
    if (this.#root === undefined || buildId === undefined) return undefined;
    const file = await open(join(this.#root, path), constants.O_RDONLY).catch(() => undefined);
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
