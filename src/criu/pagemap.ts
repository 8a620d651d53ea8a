import { isFieldSet } from "@bufbuild/protobuf";
import type { Archive } from "../archive/archive.ts";
import { UserError } from "../model/error.ts";
import type { Source } from "../model/source.ts";
import { blocksOf, blockSource, type Blocks } from "./blocks.ts";
import { decode } from "./decode.ts";
import { PagemapEntrySchema, PagemapHeadSchema } from "./gen/memory_pb.ts";
import { entryBatches, hasImage, imageName, openImage, type Entry, type Image } from "./image.ts";
import { count } from "./numbers.ts";
import { parentImages } from "./parents.ts";
import { damaged, notThere } from "./problems.ts";
import { throughParent, type PageRun, type Runs } from "./runs.ts";

/** Which pages of a process, or of a piece of shared memory, are in the archive. */
export interface Pagemap {
  /** Of the pagemap image, in the archive. */
  readonly name: string;
  /** Of the file of its pages, in the archive; it is absent where no page is present. */
  readonly pagesName: string;
  /** In batches, addresses ascending. Throws a UserError where it is damaged: pages that lie over each other are. */
  runs(): Runs;
  /** Its own entries in their order, but for those without any page. Throws a UserError where it is damaged. */
  ranges(): AsyncGenerator<readonly { readonly address: bigint; readonly pages: number }[]>;
  /** What it says of its own file of pages, whatever an earlier checkpoint has. Throws a UserError where it is damaged. */
  extent(): Promise<Extent>;
}

/** Numbers of pages by where they are. */
export type Extent = Record<PageRun["content"], number> & {
  /** How long the file of pages is by this. */
  readonly bytes: number;
};

const PARENT = 1;
const LAZY = 2;
const PRESENT = 4;
/** Of compressed pages: their first block begins where a page would. */
const ALIGNED = 8;

/** No address space has more pages. */
const MAX_PAGES = 2n ** 52n;

/** The pagemap of a process; undefined where it has none (zombies). Throws a UserError where it is damaged. */
export async function processPagemap(archive: Archive, pid: number, pageSize: number): Promise<Pagemap | undefined> {
  return await pagemap(archive, `pagemap-${pid}.img`, pageSize);
}

/** The pagemap of shared memory, by the shmid of its mappings. */
export async function sharedPagemap(archive: Archive, shmid: bigint, pageSize: number): Promise<Pagemap | undefined> {
  return await pagemap(archive, `pagemap-shmem-${shmid}.img`, pageSize);
}

/** A pagemap by the name of its image. */
export async function pagemap(archive: Archive, file: string, pageSize: number): Promise<Pagemap | undefined> {
  const opened = await openPagemap(archive, file);
  if (opened === undefined) return undefined;
  const { rest, pagesName } = opened;
  const earlier = async (): Promise<Runs | undefined> => {
    const parent = parentImages(archive);
    return (parent && (await pagemap(parent, file, pageSize)))?.runs();
  };
  return {
    name: rest.name,
    pagesName,
    runs: () => throughParent(ownRuns(rest, archive, pagesName, pageSize), pageSize, earlier),
    async *ranges() {
      for await (const batch of placed(rest, pageSize)) yield batch.filter(({ content }) => content !== "none");
    },
    extent: async () => await extentOf(rest, pageSize),
  };
}

/** How many present pages a pagemap counts, and where they are; undefined where their file does not tell the size of a page. */
export async function plainPages(archive: Archive, file: string): Promise<{ pages: number; pagesName: string } | undefined> {
  const opened = await openPagemap(archive, file);
  if (opened === undefined) return undefined;
  let pages = 0;
  for await (const batch of decoded(opened.rest)) {
    for (const entry of batch) {
      if (entry.blocks !== undefined) return undefined;
      if (entry.content === "present") pages += entry.pages;
    }
  }
  return { pages, pagesName: opened.pagesName };
}

async function openPagemap(archive: Archive, file: string): Promise<{ rest: Image; pagesName: string } | undefined> {
  if (!hasImage(archive, file)) return undefined;
  const image = await openImage(archive, imageName(file));
  for await (const [head] of entryBatches(image)) {
    if (head === undefined) break;
    const { pagesId } = decode(PagemapHeadSchema, head.bytes, image.name);
    return { rest: { ...image, start: head.end }, pagesName: imageName(`pages-${pagesId}.img`) };
  }
  throw damaged(image.name, "it is empty");
}

/** A file of pages that says what is wrong when it is missing or too short. */
function pagesFile(archive: Archive, name: string, map: string): Source {
  if (!archive.members.has(name)) {
    const missing = notThere(`${name} is not in the archive`, `${map} says that it holds its pages`);
    return { size: 0, read: async () => await Promise.reject(missing) };
  }
  const source = archive.open(name);
  return {
    size: source.size,
    async read(offset, length, into) {
      if (offset + length > source.size) throw damaged(name, `it has ${source.size} bytes, fewer than the pages that ${map} counts`);
      return await source.read(offset, length, into);
    },
  };
}

interface MapEntry {
  readonly address: bigint;
  readonly pages: number;
  readonly content: PageRun["content"];
  readonly blocks: Blocks | undefined;
  readonly aligned: boolean;
}

async function* decoded(image: Image): AsyncGenerator<MapEntry[]> {
  for await (const batch of entryBatches(image)) yield batch.map((entry) => mapEntry(entry, image.name));
}

function mapEntry({ bytes }: Entry, image: string): MapEntry {
  const entry = decode(PagemapEntrySchema, bytes, image, { readUnknownFields: true });
  const { vaddr, nrPages, compatNrPages, inParent } = entry;
  const pages = nrPages === 0n ? BigInt(compatNrPages) : nrPages;
  if (pages === 0n || pages > MAX_PAGES) throw damaged(image, `an entry of ${pages} pages`);
  // CRIU before 3.x had no flags.
  const flags = isFieldSet(entry, PagemapEntrySchema.field.flags) ? entry.flags : inParent ? PARENT : PRESENT;
  if (entry.$unknown !== undefined || flags > (PARENT | LAZY | PRESENT | ALIGNED)) throw unknownPages(image);
  const content = flags & PRESENT ? "present" : flags & PARENT ? "parent" : flags & LAZY ? "lazy" : "none";
  const number = count(pages, image);
  const blocks = content === "present" ? blocksOf(entry, number, image) : undefined;
  return { address: vaddr, pages: number, content, blocks, aligned: (flags & ALIGNED) !== 0 };
}

/** Entries with the place of their pages in the file. */
async function* placed(image: Image, pageSize: number): AsyncGenerator<(MapEntry & { readonly at: number; readonly end: number })[]> {
  let offset = 0;
  let next = 0n;
  const size = BigInt(pageSize);
  for await (const batch of decoded(image)) {
    yield batch.map((entry) => {
      const { address, pages, content, blocks, aligned } = entry;
      if (address < next) throw damaged(image.name, `the pages at 0x${address.toString(16)} are out of order, or lie over others`);
      if (address % size !== 0n) throw damaged(image.name, `pages at 0x${address.toString(16)}, where none begins`);
      next = address + BigInt(pages) * size;
      const at = aligned ? Math.ceil(offset / pageSize) * pageSize : offset;
      if (content === "present") offset = at + (blocks === undefined ? pages * pageSize : blocks.payload);
      if (!Number.isSafeInteger(offset)) throw damaged(image.name, "more pages than a file can hold");
      return { ...entry, at, end: offset };
    });
  }
}

async function* ownRuns(image: Image, archive: Archive, name: string, pageSize: number): Runs {
  const file = pagesFile(archive, name, image.name);
  const { budget } = archive;
  for await (const batch of placed(image, pageSize)) {
    const runs: PageRun[] = [];
    for (const { address, pages, content, blocks, at } of batch) {
      if (content !== "present") runs.push({ address, pages, content, source: undefined, offset: 0 });
      else if (blocks === undefined) runs.push({ address, pages, content, source: file, offset: at });
      else {
        const source = await blockSource(blocks, { file, name, at, pages, pageSize, budget });
        runs.push({ address, pages, content, source, offset: 0 });
      }
    }
    yield runs;
  }
}

async function extentOf(image: Image, pageSize: number): Promise<Extent> {
  const extent = { present: 0, parent: 0, lazy: 0, none: 0, bytes: 0 };
  for await (const batch of placed(image, pageSize)) {
    for (const { pages, content, end } of batch) {
      extent[content] += pages;
      extent.bytes = end;
    }
  }
  return extent;
}

function unknownPages(image: string): UserError {
  return new UserError({
    reason: "PagesUnknown",
    message: `${image}: the pages are stored in a way that this version does not know`,
    why: "a version of CRIU that is newer than this one wrote them; nothing of this memory is shown rather than something wrong",
  });
}
