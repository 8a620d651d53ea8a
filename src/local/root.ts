import type { FileHandle } from "node:fs/promises";
import type { Directory } from "./directory.ts";
import { localName } from "./names.ts";
import { writeNew, type Written } from "./write.ts";

/** A symbolic link is followed so often at most, as Linux has it. */
const MOST_LINKS = 40;

/** What is at a path of a root file system, and what is to be remembered of it: its mode, say. */
interface Node<T> {
  note: T | undefined;
  /** Of a directory. */
  readonly children?: Map<string, Node<T>>;
  /** Of a symbolic link. */
  readonly target?: string;
}

/** A directory without links on the way to it. */
interface Real<T> {
  readonly names: readonly string[];
  readonly node: Node<T> & { readonly children: Map<string, Node<T>> };
}

/**
 * A root file system that is put together in a new directory: paths are resolved as in a chroot, so that none leads out of it. Files have mode
 * 0600. Links point to where they do in the container, and never above the directory. What is in it is known without looking, for nobody
 * else writes there.
 */
export class Root<T> implements AsyncDisposable {
  readonly #root: Directory;
  readonly #top: Real<T> = { names: [], node: { note: undefined, children: new Map() } };
  /** The directory of the last path: most files lie beside the one before. */
  #last: { readonly key: string; readonly directory: Directory } | undefined;

  /** Takes over the directory. */
  constructor(root: Directory) {
    this.#root = root;
  }

  get path(): string {
    return this.#root.path;
  }

  /** Stays where it is there, or a link to one is. */
  async directory(path: string, note: T): Promise<void> {
    const { names } = await this.#made(namesOf(path));
    const node = this.#nodeAt(names);
    if (node !== undefined) node.note = note;
  }

  /** In the place of what is there. */
  async file(path: string, bytes: AsyncIterable<Written>, signal: AbortSignal, note: T): Promise<void> {
    const { parent, name } = await this.#cleared(path);
    const directory = await this.#open(parent.names);
    await writeNew(directory, name, bytes, signal);
    parent.node.children.set(name, { note });
  }

  /** In the place of what is there. */
  async link(path: string, target: string, note: T): Promise<void> {
    const { parent, name } = await this.#cleared(path);
    const directory = await this.#open(parent.names);
    await directory.link(name, inside(target, parent.names));
    parent.node.children.set(name, { note, target });
  }

  /** What is not written, such as a device: in the place of what is there. */
  async other(path: string, note: T): Promise<void> {
    const { parent, name } = await this.#cleared(path);
    parent.node.children.set(name, { note });
  }

  /** With everything in it. */
  async remove(path: string): Promise<void> {
    const names = namesOf(path);
    const name = names.pop();
    const parent = this.#resolve(names);
    if (name === undefined || parent?.node.children.has(name) !== true) return;
    await this.#clear(parent, name);
  }

  /** Everything in a directory. */
  async empty(path: string): Promise<void> {
    const directory = this.#resolve(namesOf(path));
    for (const name of directory?.node.children.keys() ?? []) if (directory !== undefined) await this.#clear(directory, name);
  }

  /** A plain file, links followed; undefined where there is none. To be closed by the caller. */
  async open(path: string): Promise<FileHandle | undefined> {
    const real = this.#follow(namesOf(path));
    const node = real && this.#nodeAt(real);
    if (real === undefined || node === undefined || node.children !== undefined || node.target !== undefined) return undefined;
    const directory = await this.#open(real.slice(0, -1));
    const name = real.at(-1) ?? "";
    return (await directory.look(name))?.kind === "file" ? await directory.read(name) : undefined;
  }

  /** Everything that was noted, by path. */
  *notes(): Generator<readonly [path: string, note: T]> {
    yield* notesBelow("", this.#top.node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forget();
    await this.#root[Symbol.asyncDispose]();
  }

  async #forget(): Promise<void> {
    await this.#last?.directory[Symbol.asyncDispose]();
    this.#last = undefined;
  }

  /** By names that are no links, all of which are there. */
  async #open(names: readonly string[]): Promise<Directory> {
    const key = names.join("/");
    if (this.#last?.key === key) return this.#last.directory;
    await this.#forget();
    let at = await this.#root.reopened();
    for (const name of names) {
      const next = await at.enter(name);
      await at[Symbol.asyncDispose]();
      at = next;
    }
    this.#last = { key, directory: at };
    return at;
  }

  async #cleared(path: string): Promise<{ readonly parent: Real<T>; readonly name: string }> {
    const names = namesOf(path);
    const name = names.pop() ?? "";
    const parent = await this.#made(names);
    if (parent.node.children.has(name)) await this.#clear(parent, name);
    return { parent, name };
  }

  async #clear({ names, node }: Real<T>, name: string): Promise<void> {
    const isDirectory = node.children.get(name)?.children !== undefined;
    node.children.delete(name);
    // What is open may be in it.
    if (isDirectory) await this.#forget();
    await (await this.#open(names)).removeAll(name);
  }

  /** A directory, with those above it; what is in their way and no link to a directory is removed. */
  async #made(parts: readonly string[]): Promise<Real<T>> {
    let at = this.#top;
    for (const part of parts) {
      const there = this.#resolve([...at.names, part]);
      if (there !== undefined) {
        at = there;
        continue;
      }
      const real = this.#follow([...at.names, part]);
      // A link to what is not there yet: it becomes a directory, as for whoever writes through the link.
      if (real !== undefined && at.node.children.get(part)?.target !== undefined && this.#nodeAt(real) === undefined) {
        at = await this.#made(real);
        continue;
      }
      if (at.node.children.has(part)) await this.#clear(at, part);
      await (await (await this.#open(at.names)).makeDirectory(part))[Symbol.asyncDispose]();
      const node = { note: undefined, children: new Map<string, Node<T>>() };
      at.node.children.set(part, node);
      at = { names: [...at.names, part], node };
    }
    return at;
  }

  /** The directory that a path leads to; undefined where it leads to none. */
  #resolve(parts: readonly string[]): Real<T> | undefined {
    const names = this.#follow(parts);
    const node = names && this.#nodeAt(names);
    return names === undefined || node?.children === undefined ? undefined : { names, node: { ...node, children: node.children } };
  }

  #nodeAt(names: readonly string[]): Node<T> | undefined {
    let node: Node<T> | undefined = this.#top.node;
    for (const name of names) node = node?.children?.get(name);
    return node;
  }

  /** A path without links: those that are there are followed. Undefined where they go in circles. */
  #follow(parts: readonly string[]): string[] | undefined {
    const left = [...parts];
    let real: string[] = [];
    for (let links = 0; left.length > 0;) {
      const part = left.shift() ?? "";
      if (part === "..") {
        real.pop();
        continue;
      }
      const target = this.#nodeAt([...real, part])?.target;
      if (target === undefined) {
        real.push(part);
        continue;
      }
      links += 1;
      if (links > MOST_LINKS) return undefined;
      left.unshift(...namesOf(target, true));
      if (target.startsWith("/")) real = [];
    }
    return real;
  }
}

function* notesBelow<T>(path: string, { note, children }: Node<T>): Generator<readonly [path: string, note: T]> {
  if (note !== undefined) yield [path === "" ? "/" : path, note];
  for (const [name, child] of children ?? []) yield* notesBelow(`${path}/${name}`, child);
}

/** The names of a path, each as a file here may be called; ".." stays where `up`. */
function namesOf(path: string, up = false): string[] {
  return path
    .split("/")
    .filter((name) => name !== "" && name !== ".")
    .map((name) => (up && name === ".." ? name : localName(name)));
}

/**
 * The target of a link as seen from its directory, so that it never leads above the root: ".." only at its beginning, and no more often than
 * there are directories above it.
 */
function inside(target: string, above: readonly string[]): string {
  const parts: string[] = target.startsWith("/") ? [] : [...above];
  for (const name of namesOf(target, true)) {
    if (name === "..") parts.pop();
    else parts.push(name);
  }
  let common = 0;
  while (common < above.length && common < parts.length && above[common] === parts[common]) common += 1;
  return [...above.slice(common).map(() => ".."), ...parts.slice(common)].join("/") || ".";
}
