import { filePath, type FileTable } from "../criu/files/table.ts";
import { regionAfter, regionAt, type Region } from "../criu/regions.ts";

/** The mapped file that an instruction is in. */
export interface Module {
  readonly name: string;
  /** Of the file in files.img; undefined for what the kernel maps. */
  readonly fileId: number | undefined;
  /** From where its mapping begins: the address in the file of programs and libraries that may be loaded anywhere. */
  readonly offset: bigint;
}

/** So many mappings below the one with the instruction are looked at for the first one of its file. */
const MOST_BELOW = 64;

/** Undefined where nothing with a name is mapped there. */
export function moduleAt(address: bigint, regions: readonly Region[], table: FileTable): Module | undefined {
  const region = regionAt(regions, address);
  if (region === undefined) return undefined;
  if (region.kind === "vdso") return { name: `[${region.note}]`, fileId: undefined, offset: address - region.start };
  if (region.fileId === undefined) return undefined;
  const name = filePath(table, region.fileId) ?? `file ${region.fileId}`;
  return { name, fileId: region.fileId, offset: address - firstOf(region, regions, table).start };
}

/** The mapping of the beginning of the same file, the nearest below: each mapping may have an id of its own. */
function firstOf(region: Region, regions: readonly Region[], table: FileTable): Region {
  const path = table.files.get(region.fileId ?? 0)?.name;
  const at = regionAfter(regions, region.start);
  for (let index = at; index >= Math.max(0, at - MOST_BELOW); index -= 1) {
    const below = regions[index];
    if (below?.fileId !== undefined && below.offset === 0n && table.files.get(below.fileId)?.name === path) return below;
  }
  return region;
}
