import type { Lease } from "../archive/budget.ts";
import { sharedPages, type ProcessMemory } from "../criu/memory.ts";
import { attempt } from "../criu/problems.ts";
import { regionAt, type Region } from "../criu/regions.ts";
import type { Source } from "../model/source.ts";

/** Runs of pages take so few bytes here that this many count as one object. */
const RUNS_PER_ITEM = 8;

/** Small pieces of a process's memory, at any address: which page is where is found once. */
export class MemoryReader {
  readonly #memory: ProcessMemory;
  // Columns of a table of runs, ascending: of 1 GiB of memory there can be 100,000.
  readonly #first: number[] = [];
  readonly #pages: number[] = [];
  readonly #offsets: number[] = [];
  readonly #sources: (Source | undefined)[] = [];

  private constructor(memory: ProcessMemory) {
    this.#memory = memory;
  }

  /** Throws a UserError where the images are damaged. */
  static async of(memory: ProcessMemory, lease: Lease): Promise<MemoryReader> {
    const reader = new MemoryReader(memory);
    for await (const batch of memory.own.runs()) {
      lease.keep(Math.ceil(batch.length / RUNS_PER_ITEM));
      for (const { address, pages, content, source, offset } of batch) {
        // Pages of an earlier checkpoint that is not at hand are not zeros: they are there without a source.
        if (content === "none") continue;
        reader.#first.push(Number(address / BigInt(memory.pageSize)));
        reader.#pages.push(pages);
        reader.#offsets.push(offset);
        reader.#sources.push(source);
      }
    }
    return reader;
  }

  get regions(): readonly Region[] {
    return this.#memory.regions;
  }

  region(address: bigint): Region | undefined {
    return regionAt(this.#memory.regions, address);
  }

  /** Little-endian; undefined where the archive does not have it. */
  async u32(address: bigint): Promise<number | undefined> {
    return (await this.read(address, 4))?.readUInt32LE();
  }

  async u64(address: bigint): Promise<bigint | undefined> {
    return (await this.read(address, 8))?.readBigUInt64LE();
  }

  /** Undefined unless the archive has all of it. Throws a UserError where it cannot be read. */
  async read(address: bigint, length: number): Promise<Buffer | undefined> {
    if (address < 0n || address + BigInt(length) > 1n << 64n) return undefined;
    const parts: Buffer[] = [];
    for (let done = 0; done < length;) {
      const part = await this.#part(address + BigInt(done), length - done);
      if (part === undefined) return undefined;
      parts.push(part);
      done += part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** What was written of a range of private memory and is in the archive, with the addresses where it begins. */
  async written(address: bigint, length: number): Promise<(readonly [address: bigint, bytes: Buffer])[]> {
    const size = this.#memory.pageSize;
    const [first, last] = [Number(address / BigInt(size)), Number((address + BigInt(length)) / BigInt(size))];
    const found: (readonly [bigint, Buffer])[] = [];
    for (let at = Math.max(0, this.#runBefore(first)); at < this.#first.length; at += 1) {
      const [begin, count] = [this.#first[at] ?? 0, this.#pages[at] ?? 0];
      if (begin >= last) break;
      const from = Math.max(begin, first);
      const until = Math.min(begin + count, last);
      const source = this.#sources[at];
      if (source === undefined || from >= until) continue;
      const bytes = await source.read((this.#offsets[at] ?? 0) + (from - begin) * size, (until - from) * size);
      found.push([BigInt(from) * BigInt(size), bytes]);
    }
    return found;
  }

  /** From an address on, no further than its page. */
  async #part(address: bigint, length: number): Promise<Buffer | undefined> {
    const { pageSize } = this.#memory;
    const page = Number(address / BigInt(pageSize));
    const within = Number(address % BigInt(pageSize));
    const most = Math.min(length, pageSize - within);
    const region = this.region(address);
    if (region === undefined) return undefined;
    if (region.kind === "shared") return await this.#shared(region, address, most);
    const at = this.#runBefore(page);
    const skipped = page - (this.#first[at] ?? 0);
    if (skipped < (this.#pages[at] ?? 0))
      return await this.#sources[at]?.read((this.#offsets[at] ?? 0) + skipped * pageSize + within, most);
    // Memory that was never written to reads as zeros.
    return region.kind === "anonymous" || region.kind === "heap" || region.kind === "stack" ? Buffer.alloc(most) : undefined;
  }

  /** The last run that begins at or before a page; -1 where there is none. */
  #runBefore(page: number): number {
    let low = 0;
    let high = this.#first.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#first[middle] ?? 0) <= page) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  async #shared(region: Region, address: bigint, length: number): Promise<Buffer | undefined> {
    const pages = await attempt(
      () => {},
      async () => await sharedPages(this.#memory, region),
    );
    const offset = address - region.start + region.offset;
    for (const run of pages?.after(offset) ?? []) {
      if (run.address > offset) break;
      return await run.source?.read(run.offset + Number(offset - run.address), length);
    }
    return pages === undefined ? undefined : Buffer.alloc(length);
  }
}
