import { isFieldSet } from "@bufbuild/protobuf";
import type { Archive } from "../archive/archive.ts";
import { UserError } from "../model/error.ts";
import { decode } from "./decode.ts";
import { PagemapEntrySchema, PagemapHeadSchema } from "./gen/memory_pb.ts";
import { entryBatches, hasImage, imageName, openImage, type Entry, type Image } from "./image.ts";
import { count } from "./numbers.ts";
import { damaged } from "./problems.ts";

/** Pages one after the other, of one pagemap entry. */
export interface PageRun {
  /** In a shared memory's pagemap: bytes from its beginning. */
  readonly address: bigint;
  readonly pages: number;
  /** "parent": in an earlier checkpoint; "lazy": left on the node, to be fetched when touched; "none": nowhere. */
  readonly content: "present" | "parent" | "lazy" | "none";
  /** Where present: how many pages stand before it in the file of pages. */
  readonly firstPage: number;
}

/** Which pages of a process, or of a piece of shared memory, are in the archive. */
export interface Pagemap {
  /** Of the pagemap image, in the archive. */
  readonly name: string;
  /** Of the file of its pages, in the archive; it is absent where no page is present. */
  readonly pagesName: string;
  /** In batches, addresses ascending. */
  runs(): AsyncGenerator<PageRun[]>;
}

const PARENT = 1;
const LAZY = 2;
const PRESENT = 4;

/** No address space has more pages. */
const MAX_PAGES = 2n ** 52n;

/** The pagemap of a process; undefined where it has none (zombies). Throws a UserError where it is damaged. */
export async function processPagemap(archive: Archive, pid: number): Promise<Pagemap | undefined> {
  return await pagemap(archive, `pagemap-${pid}.img`);
}

/** The pagemap of shared memory, by the shmid of its mappings. */
export async function sharedPagemap(archive: Archive, shmid: bigint): Promise<Pagemap | undefined> {
  return await pagemap(archive, `pagemap-shmem-${shmid}.img`);
}

/** A pagemap by the name of its image. */
export async function pagemap(archive: Archive, file: string): Promise<Pagemap | undefined> {
  if (!hasImage(archive, file)) return undefined;
  const image = await openImage(archive, imageName(file));
  for await (const [head] of entryBatches(image)) {
    if (head === undefined) break;
    const { pagesId } = decode(PagemapHeadSchema, head.bytes, image.name);
    const rest = { ...image, start: head.end };
    return { name: image.name, pagesName: imageName(`pages-${pagesId}.img`), runs: () => runs(rest) };
  }
  throw damaged(image.name, "it is empty");
}

async function* runs(image: Image): AsyncGenerator<PageRun[]> {
  let firstPage = 0;
  let last = -1n;
  for await (const batch of entryBatches(image)) {
    const decoded = batch.map((entry) => {
      const run = { ...pageRun(entry, image.name), firstPage };
      if (run.address <= last) throw damaged(image.name, `the pages at 0x${run.address.toString(16)} are out of order`);
      last = run.address;
      if (run.content === "present") firstPage += run.pages;
      return run;
    });
    yield decoded;
  }
}

function pageRun({ bytes }: Entry, image: string): Omit<PageRun, "firstPage"> {
  const entry = decode(PagemapEntrySchema, bytes, image, { readUnknownFields: true });
  const pages = entry.nrPages === 0n ? BigInt(entry.compatNrPages) : entry.nrPages;
  if (pages === 0n || pages > MAX_PAGES) throw damaged(image, `an entry of ${pages} pages`);
  // CRIU before 3.x had no flags.
  const flags = isFieldSet(entry, PagemapEntrySchema.field.flags) ? entry.flags : entry.inParent ? PARENT : PRESENT;
  if (entry.$unknown !== undefined || flags > (PARENT | LAZY | PRESENT)) throw unknownPages(image);
  const content = flags & PRESENT ? "present" : flags & PARENT ? "parent" : flags & LAZY ? "lazy" : "none";
  return { address: entry.vaddr, pages: count(pages, image), content };
}

function unknownPages(image: string): UserError {
  return new UserError({
    reason: "PagesUnknown",
    message: `${image}: the pages are stored in a way that this version does not know`,
    why: "CRIU after 4.2 can compress pages with LZ4; nothing of this memory is shown rather than something wrong",
    fix: "crit decompress, from the CRIU that made the checkpoint, writes the images without compression",
  });
}
