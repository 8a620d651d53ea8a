import { posix } from "node:path";
import type { Archive } from "../../../archive/archive.ts";
import { sharedInUse, taskIds } from "../../../criu/check.ts";
import { pagemap, type Pagemap } from "../../../criu/pagemap.ts";
import { pageSize } from "../../../criu/pagesize.ts";
import { attempt } from "../../../criu/problems.ts";
import { addressSpace } from "../../../criu/regions.ts";
import { statistics } from "../../../criu/statistics.ts";
import { counted } from "../../../model/units.ts";

const PAGEMAP = /^checkpoint\/(pagemap-(?:(shmem)-)?(\d+)\.img)$/;
/** Where no page is in the archive, nothing depends on how large they are. */
const ANY = 4096;
const PAGES = /^checkpoint\/pages-\d+\.img$/;
/** A symlink to the images of an earlier checkpoint, which pages may be in. */
const PARENT = "checkpoint/parent";

/**
 * What does not fit in the memory of an archive: files of pages and the pagemaps that count them, CRIU's statistics,
 * pages that are elsewhere. Throws a UserError where a pagemap cannot be read.
 */
export async function* memoryProblems(archive: Archive): AsyncGenerator<string, void> {
  const size = await pageSize(archive);
  const tasks = await taskIds(archive);
  const inUse = await sharedInUse(archive);
  const total = { process: 0, shared: 0, parent: 0, lazy: 0 };
  const byFile = new Map<string, { readonly pages: number; readonly bytes: number }>();
  const claimed = new Set<string>();
  for (const name of archive.members.keys()) {
    const [, file, shared, id] = PAGEMAP.exec(name) ?? [];
    const map = file === undefined ? undefined : await pagemap(archive, file, size ?? ANY);
    if (map === undefined) continue;
    claimed.add(map.pagesName);
    // Left over from an earlier checkpoint: its pages may have been replaced.
    if (shared === undefined ? !tasks.has(Number(id)) : inUse?.has(String(id)) === false) continue;
    if (shared === undefined && size !== undefined) yield* outsideMappings(archive, map, Number(id), size);
    const pages = await map.extent();
    const before = byFile.get(map.pagesName);
    byFile.set(map.pagesName, { pages: (before?.pages ?? 0) + pages.present, bytes: (before?.bytes ?? 0) + pages.bytes });
    total[shared === undefined ? "process" : "shared"] += pages.present;
    total.parent += pages.parent;
    total.lazy += pages.lazy;
  }
  for (const [name, { pages, bytes: wanted }] of byFile) {
    const bytes = archive.members.get(name)?.size;
    if (bytes === undefined && pages > 0) yield `${name} is missing: ${pages} pages of memory`;
    else if (bytes !== undefined && size !== undefined && bytes !== wanted) {
      yield `${name} has ${bytes} bytes, but pagemaps count ${wanted === pages * size ? `${pages} pages of ${size} bytes` : `${wanted} bytes of compressed pages`}`;
    }
  }
  for (const name of archive.members.keys()) if (PAGES.test(name) && !claimed.has(name)) yield `${name} belongs to no pagemap`;
  yield* await statisticsProblems(archive, total);
  if (total.parent > 0) yield* parentProblems(archive, total.parent);
  if (total.lazy > 0) yield `${total.lazy} pages were left on the node, to be sent when a restored process touches them`;
}

/** CRIU dumps pages of mappings only: others are of another process, or of another time. */
async function* outsideMappings(archive: Archive, map: Pagemap, pid: number, pageSize: number): AsyncGenerator<string, void> {
  // What cannot be read there is for the check of all images.
  const space = await attempt(
    () => {},
    async () => await addressSpace(archive, pid),
  );
  if (space?.mappings === undefined) return;
  const { mappings } = space;
  let [next, outside] = [0, 0n];
  let first: bigint | undefined;
  for await (const batch of map.ranges()) {
    archive.budget.step(batch.length);
    for (const { address, pages } of batch) {
      const end = address + BigInt(pages * pageSize);
      for (let at = address; at < end;) {
        while ((mappings[next]?.end ?? end) <= at) next += 1;
        const { start = end, end: covered = end } = mappings[next] ?? {};
        if (start > at) {
          first ??= at;
          outside += (start < end ? start : end) - at;
        }
        at = start > at ? start : covered;
      }
    }
  }
  if (first !== undefined)
    yield `${map.name} has ${counted(Number(outside / BigInt(pageSize)), "page")}, the first at 0x${first.toString(16)}, where checkpoint/mm-${pid}.img has no mapping`;
}

async function statisticsProblems(archive: Archive, total: { process: number; shared: number }): Promise<string[]> {
  const written = await statistics(archive);
  if (written === undefined) return [];
  const compare = (what: string, pages: number, stated: number): string[] =>
    pages === stated ? [] : [`pagemaps count ${pages} ${what}, CRIU's statistics ${stated}`];
  return [
    ...compare("pages", total.process, written.pagesWritten),
    // Old versions of CRIU did not count them.
    ...(written.sharedPagesScanned === 0 ? [] : compare("pages of shared memory", total.shared, written.sharedPagesWritten)),
  ];
}

function* parentProblems({ members }: Archive, pages: number): Generator<string> {
  const target = members.get(PARENT)?.target;
  if (target === undefined) {
    yield `${pages} pages are in an earlier checkpoint, and ${PARENT}, which would say in which, is missing`;
  } else if (!members.has(posix.join("checkpoint", target, "inventory.img"))) {
    yield `${pages} pages are in an earlier checkpoint, ${target}, which is not in this archive`;
  }
}
