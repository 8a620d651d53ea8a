import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Budget } from "../archive/budget.ts";
import { slice, checkRange } from "../archive/sources.ts";
import { UserError } from "../model/error.ts";
import type { Source } from "../model/source.ts";
import { decode } from "./decode.ts";
import { PagemapBlocksSchema, type PagemapEntry } from "./gen/memory_pb.ts";
import { MAX_ENTRY_ITEMS } from "./limits.ts";
import { decodeLz4 } from "./lz4.ts";
import { damaged, excessive } from "./problems.ts";

/** How the pages of a pagemap entry are compressed: in blocks, one after the other. */
export interface Blocks {
  /** Of each in the file of pages: 0 where the pages are zeros, the pages' own size where they are not compressed. */
  readonly sizes: readonly number[];
  /** In a block; the last may have fewer. Undefined where only the blocks themselves tell. */
  readonly pagesPerBlock: number | undefined;
  /** Together, in bytes. */
  readonly payload: number;
}

/** Bytes of a block, decoded: CRIU takes no more. */
const MAX_BLOCK = 4 << 20;

/**
 * The blocks of an entry of `pages` pages; undefined where its pages are not compressed. Both schemas of CRIU stand in field 6: a message,
 * or a packed list of sizes. Throws a UserError where it is neither.
 */
export function blocksOf({ blocks, regionPages }: PagemapEntry, pages: number, image: string): Blocks | undefined {
  if (blocks.length === 0) return undefined;
  const found = messageBlocks(blocks, pages, image) ?? listedBlocks(blocks, regionPages, pages, image);
  if (found === undefined) throw damaged(image, `the blocks of an entry of ${pages} pages are not as CRIU writes them`);
  return found;
}

function messageBlocks(bytes: Uint8Array, pages: number, image: string): Blocks | undefined {
  // A list of sizes is hardly ever a message too; never one whose sums are right.
  if (bytes[0] !== (PagemapBlocksSchema.field.blockSizes.number << 3) + 2) return undefined;
  let message;
  try {
    message = decode(PagemapBlocksSchema, bytes, image);
  } catch (error) {
    if (error instanceof UserError && error.reason === "ImageDamaged") return undefined;
    throw error;
  }
  const { blockSizes, totalPayloadSize, pagesPerBlock } = message;
  const payload = blockSizes.reduce((sum, size) => sum + size, 0);
  const perBlock = pagesPerBlock || 1;
  const fits = payload === Number(totalPayloadSize) && Math.ceil(pages / perBlock) === blockSizes.length;
  return fits ? { sizes: blockSizes, payload, pagesPerBlock: perBlock } : undefined;
}

function listedBlocks(bytes: Uint8Array, regionPages: number, pages: number, image: string): Blocks | undefined {
  const sizes = packed(bytes, image);
  if (sizes === undefined) return undefined;
  const payload = sizes.reduce((sum, size) => sum + size, 0);
  if (regionPages > 0) return Math.ceil(pages / regionPages) === sizes.length ? { sizes, payload, pagesPerBlock: regionPages } : undefined;
  if (sizes.length === pages) return { sizes, payload, pagesPerBlock: 1 };
  if (sizes.length > pages) return undefined;
  return { sizes, payload, pagesPerBlock: sizes.length === 1 ? pages : undefined };
}

function packed(bytes: Uint8Array, image: string): number[] | undefined {
  if (bytes.length > MAX_ENTRY_ITEMS * 4) throw excessive(image, "an entry of too many blocks");
  const reader = new BinaryReader(bytes);
  const sizes: number[] = [];
  try {
    while (reader.pos < reader.len) sizes.push(reader.uint32());
  } catch {
    return undefined;
  }
  return sizes;
}

/** The pages of an entry as they are in memory, from `at` in the file of pages on. */
export interface BlockPlace {
  readonly file: Source;
  /** Of the file of pages, in the archive. */
  readonly name: string;
  readonly at: number;
  readonly pages: number;
  readonly pageSize: number;
  /** Charged for what the blocks become. */
  readonly budget: Budget;
}

/** Throws a UserError where the blocks are too large, or do not tell how many pages each has. */
export async function blockSource(blocks: Blocks, place: BlockPlace): Promise<Source> {
  const { name, pages, pageSize, budget } = place;
  const pagesPerBlock = blocks.pagesPerBlock ?? (await measured(blocks, place));
  const bytesPerBlock = pagesPerBlock * pageSize;
  if (bytesPerBlock > MAX_BLOCK) throw damaged(name, `blocks of ${bytesPerBlock} bytes`);
  const starts = startsOf(blocks.sizes, place.at);
  const size = pages * pageSize;
  const whole = async (index: number, into: Buffer): Promise<void> => {
    const stored = blocks.sizes[index] ?? 0;
    if (stored === 0) {
      budget.step(into.length / pageSize);
      into.fill(0);
    } else if (stored === into.length) await copy(slice(place.file, starts[index] ?? 0, stored), into);
    else {
      const bytes = stored > into.length ? undefined : await place.file.read(starts[index] ?? 0, stored);
      budget.decode(into.length);
      if (bytes === undefined || decodeLz4(bytes, into) !== into.length)
        throw damaged(name, `a compressed block at ${starts[index]} is damaged`);
    }
  };
  /** The last block of which only a part was wanted: the rest is often wanted next. */
  let kept: { readonly index: number; readonly bytes: Buffer } | undefined;
  return {
    size,
    async read(offset, length, into) {
      checkRange(size, offset, length);
      const bytes = into?.subarray(0, length) ?? Buffer.allocUnsafe(length);
      for (let done = 0; done < length;) {
        const index = Math.floor((offset + done) / bytesPerBlock);
        const start = index * bytesPerBlock;
        const blockLength = Math.min(bytesPerBlock, size - start);
        const skip = offset + done - start;
        const part = Math.min(blockLength - skip, length - done);
        if (part === blockLength) await whole(index, bytes.subarray(done, done + part));
        else {
          if (kept?.index !== index) {
            const block = Buffer.allocUnsafe(blockLength);
            await whole(index, block);
            kept = { index, bytes: block };
          }
          kept.bytes.copy(bytes, done, skip, skip + part);
        }
        done += part;
      }
      return bytes;
    },
  };
}

function startsOf(sizes: readonly number[], at: number): Float64Array {
  const starts = new Float64Array(sizes.length);
  let next = at;
  for (const [index, size] of sizes.entries()) {
    starts[index] = next;
    next += size;
  }
  return starts;
}

async function copy(source: Source, into: Buffer): Promise<void> {
  const bytes = await source.read(0, into.length, into);
  if (bytes.buffer !== into.buffer || bytes.byteOffset !== into.byteOffset) bytes.copy(into);
}

/** How many pages each block has, by the first that tells: all but the last are whole. Blocks of zeros alone can have any number. */
async function measured({ sizes }: Blocks, { file, name, at, pages, pageSize }: BlockPlace): Promise<number> {
  const starts = startsOf(sizes, at);
  const fits = (bytes: number | undefined): boolean =>
    bytes !== undefined && bytes % pageSize === 0 && Math.ceil(pages / (bytes / pageSize)) === sizes.length;
  for (const [index, size] of sizes.slice(0, -1).entries()) {
    if (size === 0) continue;
    if (size > MAX_BLOCK) break;
    const length = decodeLz4(await file.read(starts[index] ?? 0, size), Buffer.allocUnsafe(MAX_BLOCK));
    if (length !== undefined && fits(length)) return length / pageSize;
    // Stored as it is.
    if (fits(size)) return size / pageSize;
    throw damaged(name, `a compressed block at ${starts[index]} is damaged`);
  }
  return Math.ceil(pages / sizes.length);
}
