import type { Archive } from "../archive/archive.ts";
import type { UserError } from "../model/error.ts";
import { decode } from "./decode.ts";
import { MmHeadSchema } from "./gen/memory_pb.ts";
import { imageName, onlyEntry, openImage } from "./image.ts";
import { plainPages } from "./pagemap.ts";
import { damaged } from "./problems.ts";

/** Of the auxiliary vector: AT_PAGESZ. */
const AT_PAGESZ = 6n;

/**
 * The page size of the machine that the checkpoint was made on, in bytes: a file of pages divided by the pages that
 * its pagemap counts, or, where no page is in the archive, what the kernel told a process.
 * Undefined where the archive holds neither. Throws a UserError where none fits any pagemap.
 */
export async function pageSize(archive: Archive): Promise<number | undefined> {
  const maps = [...archive.members.values()]
    .filter(({ name }) => /^checkpoint\/pagemap-(shmem-)?\d+\.img$/.test(name))
    .sort((a, b) => a.size - b.size);
  let misfit: UserError | undefined;
  for (const { name } of maps) {
    const counted = await plainPages(archive, name.slice(imageName("").length));
    const size = counted && archive.members.get(counted.pagesName)?.size;
    if (counted === undefined || size === undefined || counted.pages === 0) continue;
    const { pages, pagesName } = counted;
    const bytes = size / pages;
    if (isPageSize(bytes)) return bytes;
    misfit ??= damaged(pagesName, `it has ${size} bytes, which is no whole page size for the ${pages} pages of ${name}`);
  }
  if (misfit !== undefined) throw misfit;
  return await toldPageSize(archive);
}

async function toldPageSize(archive: Archive): Promise<number | undefined> {
  for (const { name } of archive.members.values()) {
    if (!/^checkpoint\/mm-\d+\.img$/.test(name)) continue;
    const { mmSavedAuxv } = decode(MmHeadSchema, await onlyEntry(await openImage(archive, name)), name);
    for (let at = 0; at < mmSavedAuxv.length; at += 2) {
      const told = Number(mmSavedAuxv[at + 1] ?? 0n);
      if (mmSavedAuxv[at] === AT_PAGESZ && isPageSize(told)) return told;
    }
  }
  return undefined;
}

/** Linux has pages of 4, 8, 16, 64 and 256 KiB. */
function isPageSize(bytes: number): boolean {
  return [4, 8, 16, 64, 256].includes(bytes / 1024);
}
