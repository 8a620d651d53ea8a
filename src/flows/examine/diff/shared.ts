import type { SharedPages } from "../../../criu/commons.ts";
import { sharedPages, type ProcessMemory } from "../../../criu/memory.ts";
import type { Region } from "../../../criu/regions.ts";
import { comparePages, type PlacedPages } from "./pages.ts";

/** Told of pages that differ and were compared. */
type Count = (compared: number, changed: number) => void;

/** Compares what two regions map of shared memory, where they are such; one of them may be missing. Throws a UserError where pages cannot be read. */
export async function compareShared(
  from: ProcessMemory,
  to: ProcessMemory,
  [a, b]: readonly [Region | undefined, Region | undefined],
  count: Count,
): Promise<void> {
  const before = a && (await sharedPages(from, a));
  const after = b && (await sharedPages(to, b));
  const { pageSize } = from;
  if (a !== undefined && b !== undefined && before !== undefined && after !== undefined) {
    const [left, right] = [sharedPlaces(before, a, pageSize), sharedPlaces(after, b, pageSize)];
    await comparePages(left, right, pageSize, (_, compared, changed) => count(compared, changed));
    return;
  }
  for (const [pages, region] of [
    [before, a],
    [after, b],
  ] as const) {
    if (pages === undefined || region === undefined) continue;
    for await (const { pages: alone } of sharedPlaces(pages, region, pageSize)) count(alone, alone);
  }
}

async function* sharedPlaces(shared: SharedPages, { offset, start, end }: Region, pageSize: number): AsyncGenerator<PlacedPages> {
  const limit = Number((end - start) / BigInt(pageSize));
  for (const run of shared.after(offset)) {
    const { pages, source } = run;
    const page = Number(run.address - offset) / pageSize;
    if (page >= limit) return;
    const skipped = Math.max(0, -page);
    const left = Math.min(pages, limit - page) - skipped;
    if (source !== undefined && left > 0)
      yield { pair: 0, page: page + skipped, pages: left, source, offset: run.offset + skipped * pageSize };
  }
}
