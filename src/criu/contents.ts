import type { Archive } from "../archive/archive.ts";
import { filesAt, rootfsChange, type ContainerFiles } from "../archive/rootfs.ts";
import type { Source } from "../model/source.ts";
import type { Commons, SharedPages } from "./commons.ts";
import type { OpenFile } from "./files/file.ts";
import { ghostFile, ghostSource } from "./ghosts.ts";
import { isWithin, mounted, type Mounted } from "./mounted.ts";
import { notThere } from "./problems.ts";
import { sparseSource, type Extent, type SparseSource } from "../archive/sparse.ts";

/** The bytes of an open or mapped file, and where the archive has them. */
export interface Content {
  readonly source: Source;
  /** "memfd": anonymous memory. "deleted": a ghost file. "file": one under its name, or under that which CRIU gave it. */
  readonly kind: "memfd" | "deleted" | "file";
  /** What holds it, in the archive. */
  readonly member: string;
}

/** The bytes of files that processes have open, mapped or run, where the archive has them. Holds open what it has opened. */
export class Contents implements AsyncDisposable {
  readonly #archive: Archive;
  readonly #commons: Commons;
  readonly #pageSize: number | undefined;
  readonly #signal: AbortSignal;
  readonly #opened = new Map<string, Promise<ContainerFiles>>();
  readonly #known = new Map<number, Promise<Content | undefined>>();
  #mounts: Promise<Mounted[]> | undefined;

  constructor(archive: Archive, commons: Commons, pageSize: number | undefined, signal: AbortSignal) {
    this.#archive = archive;
    this.#commons = commons;
    this.#pageSize = pageSize;
    this.#signal = signal;
  }

  /** Of a file by its id in files.img; undefined where the archive has it not. Throws a UserError where what holds it cannot be read. */
  async of(fileId: number): Promise<Content | undefined> {
    const content = this.#known.get(fileId) ?? this.#find(fileId);
    this.#known.set(fileId, content);
    return await content;
  }

  /** What the archive has of the container's files at a place: rootfs-diff.tar without a member. */
  async files(member: string | undefined, path: string): Promise<ContainerFiles> {
    const key = `${member} ${path}`;
    const files =
      this.#opened.get(key) ??
      (member === undefined ? rootfsChange(this.#archive, this.#signal) : filesAt(this.#archive, member, path || "/", this.#signal));
    this.#opened.set(key, files);
    return await files;
  }

  async mounts(): Promise<Mounted[]> {
    return await (this.#mounts ??= mounted(this.#archive));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const files of this.#opened.values()) await (await files.catch(() => undefined))?.[Symbol.asyncDispose]();
    this.#opened.clear();
  }

  async #find(fileId: number): Promise<Content | undefined> {
    const table = await this.#commons.files();
    const file = table.files.get(fileId);
    if (file === undefined) return undefined;
    if (file.shmid !== undefined) return await this.#memfd(file, file.shmid);
    const remap = table.remaps.get(fileId);
    if (remap?.kind === "ghost") return await this.#ghost(file, remap.id);
    const named = remap?.kind === "linked" ? table.files.get(remap.id) : file;
    return named?.type === "file" && remap?.kind !== "process" ? await this.#named(named) : undefined;
  }

  async #memfd({ details }: OpenFile, shmid: bigint): Promise<Content | undefined> {
    if (this.#pageSize === undefined) return undefined;
    const pages = await this.#commons.shared(shmid, this.#pageSize);
    const size = details["size"];
    if (pages === undefined || typeof size !== "number") return undefined;
    return { source: sharedSource(pages, size, this.#pageSize), kind: "memfd", member: pages.name };
  }

  async #ghost({ id, name }: OpenFile, number: number): Promise<Content | undefined> {
    const ghost = await ghostFile(this.#archive, number, name, [id]);
    if (ghost.target !== undefined) return undefined;
    return { source: await ghostSource(this.#archive, ghost), kind: "deleted", member: ghost.image };
  }

  /** By its mount where that is known: a path may mean different files in different mount namespaces. */
  async #named({ name, mountId }: OpenFile): Promise<Content | undefined> {
    const all = await this.mounts();
    const mount =
      all.find((one) => mountId !== undefined && one.mountId === String(mountId)) ?? all.find(({ path }) => isWithin(name, path));
    if (mount !== undefined && mount.member === undefined) return undefined;
    const files = await this.files(mount?.member, mount?.path ?? "");
    if (files.members.get(name)?.type !== "file") return undefined;
    return { source: files.open(name), kind: "file", member: mount?.member ?? "rootfs-diff.tar" };
  }
}

/** Shared memory as a file of so many bytes. */
export function sharedSource({ name, runs }: SharedPages, size: number, pageSize: number): SparseSource {
  const elsewhere = notThere(`a part of ${name} is not in the archive`, "it is in an earlier checkpoint, or was left on the node");
  const missing: Source = { size: 0, read: async () => await Promise.reject(elsewhere) };
  const extents: Extent[] = [];
  for (const { address, pages, content, source, offset } of runs) {
    const start = Number(address);
    if (content === "none" || start >= size) continue;
    extents.push({ offset: start, length: Math.min(pages * pageSize, size - start), source: source ?? missing, at: offset });
  }
  return sparseSource(size, extents);
}
