import { memoryOf, placedRuns, sharedPages } from "../../../criu/memory.ts";
import { attempt, damaged } from "../../../criu/problems.ts";
import { regionName } from "../../../criu/region-name.ts";
import type { Region } from "../../../criu/regions.ts";
import type { Segment } from "../../../criu/search/windows.ts";
import { fileStretches } from "../search/files.ts";
import type { Location, Place } from "../search/location.ts";
import type { Searched } from "../search/search.ts";

/** A stored part of what is scanned, and where it stands: in memory its address, in a file its offset. */
export interface Part extends Segment {
  readonly address: bigint;
}

/** What is scanned at once: a region of memory, or a file. */
export interface Unit {
  readonly label: string;
  /** Ascending. */
  readonly parts: readonly Part[];
  locate(address: bigint): Location | Promise<Location>;
}

/** Each region of each process with the pages that the archive has of it; of shared memory each piece once. */
export async function* memoryUnits(searched: Searched): AsyncGenerator<Unit> {
  const { archive, chosen, commons, pageSize, table, done, tell } = searched;
  if (pageSize === undefined) return;
  /** By the file of pages, the pagemap that it belongs to. A scan takes its time however small it is, and a file could be given to any number of processes. */
  const owners = new Map<string, string>();
  for (const process of chosen) {
    const memory = await attempt(tell, async () => await memoryOf(archive, process, pageSize, tell, commons));
    if (memory === undefined) continue;
    const { own } = memory;
    const owner = owners.get(own.pagesName);
    if (owner !== undefined) {
      tell(damaged(own.name, `its pages, ${own.pagesName}, are those of ${owner}: they are scanned once`));
      continue;
    }
    owners.set(own.pagesName, own.name);
    const unitOf = (region: Region | undefined, parts: readonly Part[], start: bigint): Unit => {
      const name = region === undefined ? "unmapped" : regionName(region, table).replace(/^\[(.*)\]$/, "$1") || region.kind;
      return {
        label: `process ${process.pid} ${process.comm} ${name}`,
        parts,
        locate: (address) => ({ in: "memory", process, address, region: name, offset: address - start, mapped: region !== undefined }),
      };
    };
    let open: { region: Region | undefined; parts: Part[] } | undefined;
    for await (const batch of placedRuns(memory)) {
      for (const { region, source, offset, pages, address } of batch) {
        if (source === undefined) continue;
        if (open !== undefined && open.region !== region) {
          yield unitOf(open.region, open.parts, open.region?.start ?? 0n);
          open = undefined;
        }
        open ??= { region, parts: [] };
        archive.budget.step();
        open.parts.push({ source, offset, length: pages * pageSize, address });
      }
    }
    if (open !== undefined) yield unitOf(open.region, open.parts, open.region?.start ?? 0n);
    for (const region of memory.regions) {
      const { kind, shmid, start, offset: begins } = region;
      if (kind !== "shared" || shmid === undefined || done.has(shmid)) continue;
      done.add(shmid);
      const pages = await attempt(tell, async () => await sharedPages(memory, region));
      const parts = (pages?.runs ?? []).flatMap(({ source, offset, pages: count, address }) =>
        source === undefined ? [] : [{ source, offset, length: count * pageSize, address: start + address - begins }],
      );
      if (parts.length > 0) yield unitOf(region, parts, start);
    }
  }
}

/** Files: changed, deleted, memfds, and what else the archive has; the parts of one with holes together. */
export async function* fileUnits(searched: Searched): AsyncGenerator<Unit> {
  let open: { place: Place; parts: Part[] } | undefined;
  for await (const { place, address, segments } of fileStretches(searched)) {
    if (open !== undefined && open.place !== place) {
      yield { label: open.place.label, parts: open.parts, locate: open.place.locate.bind(open.place) };
      open = undefined;
    }
    open ??= { place, parts: [] };
    let at = address;
    for (const segment of segments) {
      open.parts.push({ ...segment, address: at });
      at += BigInt(segment.length);
    }
  }
  if (open !== undefined) yield { label: open.place.label, parts: open.parts, locate: open.place.locate.bind(open.place) };
}
