import type { Directory } from "./directory.ts";
import { localName } from "./names.ts";

/** A new directory that is filled with files by their paths below it. The directories on the way to the newest one stay open. */
export class Tree implements AsyncDisposable {
  readonly #root: Directory;
  readonly #open: { readonly name: string; readonly directory: Directory }[] = [];

  /** Takes over the directory. */
  constructor(root: Directory) {
    this.#root = root;
  }

  /** The directory by these names from an archive, made where it is not there. */
  async directory(names: readonly string[]): Promise<Directory> {
    const wanted = names.map((name) => localName(name));
    const common = wanted.findIndex((name, index) => this.#open[index]?.name !== name);
    await this.#leave(common < 0 ? wanted.length : common);
    for (const name of wanted.slice(this.#open.length)) {
      const above = this.#open.at(-1)?.directory ?? this.#root;
      this.#open.push({ name, directory: await above.directory(name) });
    }
    return this.#open.at(-1)?.directory ?? this.#root;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leave(0);
    await this.#root[Symbol.asyncDispose]();
  }

  async #leave(depth: number): Promise<void> {
    for (const { directory } of this.#open.splice(depth)) await directory[Symbol.asyncDispose]();
  }
}
