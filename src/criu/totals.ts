import { placedRuns, sharedPages, type ProcessMemory } from "./memory.ts";
import type { Archive } from "../archive/archive.ts";
import type { Region, RegionKind } from "./regions.ts";

/** What the regions of one kind, or all of a process, come to; in bytes. */
export interface MemoryTotal {
  readonly regions: number;
  /** Of address space. */
  readonly mapped: number;
  /** Whose content is in the archive. */
  readonly archived: number;
  /** That an earlier checkpoint has, or that were left on the node. */
  readonly elsewhere: number;
}

/** A region with what is in the archive of it. */
export interface RegionUse {
  readonly region: Region;
  readonly archived: number;
  readonly elsewhere: number;
}

/** Bytes of memory in an archive: of all its files of pages, shared memory counted once. Compressed pages count as they lie there. */
export function memorySize({ members }: Archive): number {
  let bytes = 0;
  for (const { name, size } of members.values()) if (/^checkpoint\/pages-[^/]+\.img$/.test(name)) bytes += size;
  return bytes;
}

/** Every region of a process with what is in the archive of it. Throws a UserError where a pagemap is damaged or missing. */
export async function regionUses(memory: ProcessMemory): Promise<RegionUse[]> {
  const { pageSize, regions } = memory;
  const uses = new Map(regions.map((region) => [region, { region, archived: 0, elsewhere: 0 }]));
  for await (const batch of placedRuns(memory)) {
    for (const { region, pages, content } of batch) {
      const use = region && uses.get(region);
      if (use === undefined) continue;
      if (content === "present") use.archived += pages * pageSize;
      else if (content !== "none") use.elsewhere += pages * pageSize;
    }
  }
  for (const use of uses.values()) await addShared(memory, use);
  return [...uses.values()];
}

async function addShared(memory: ProcessMemory, use: { region: Region; archived: number; elsewhere: number }): Promise<void> {
  const { offset, start, end } = use.region;
  const shared = await sharedPages(memory, use.region);
  const limit = offset + end - start;
  const size = BigInt(memory.pageSize);
  for (const { address, pages, content } of shared?.after(offset) ?? []) {
    if (address >= limit) break;
    const from = address > offset ? address : offset;
    const to = address + BigInt(pages) * size < limit ? address + BigInt(pages) * size : limit;
    if (content === "present") use.archived += Number(to - from);
    else if (content !== "none") use.elsewhere += Number(to - from);
  }
}

/** Totals of each kind of region that a process has, and of them all. */
export function memoryTotals(uses: readonly RegionUse[]): {
  readonly kinds: ReadonlyMap<RegionKind, MemoryTotal>;
  readonly all: MemoryTotal;
} {
  const kinds = new Map<RegionKind, MemoryTotal>();
  let all = NOTHING;
  for (const use of uses) {
    kinds.set(use.region.kind, plus(kinds.get(use.region.kind) ?? NOTHING, use));
    all = plus(all, use);
  }
  return { kinds, all };
}

const NOTHING: MemoryTotal = { regions: 0, mapped: 0, archived: 0, elsewhere: 0 };

function plus(total: MemoryTotal, { region, archived, elsewhere }: RegionUse): MemoryTotal {
  return {
    regions: total.regions + 1,
    mapped: total.mapped + Number(region.end - region.start),
    archived: total.archived + archived,
    elsewhere: total.elsewhere + elsewhere,
  };
}
