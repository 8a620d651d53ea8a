import type { FileTable } from "../../../criu/files/table.ts";
import { memoryOf, sharedPages, type ProcessMemory } from "../../../criu/memory.ts";
import { attempt, notThere, type Tell } from "../../../criu/problems.ts";
import type { Process } from "../../../criu/processes.ts";
import { regionName } from "../../../criu/region-name.ts";
import { regionAt, type Region } from "../../../criu/regions.ts";
import type { PageRun } from "../../../criu/runs.ts";
import { pageStretches, type Stretch } from "../../../criu/search/windows.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";
import type { Place } from "./location.ts";
import type { Searched } from "./search.ts";

/** The memory of the processes: each with what it has of its own before what it shares, which is once in each. */
export async function* memoryStretches(searched: Searched): AsyncGenerator<Stretch<Place>> {
  const { archive, chosen, commons, pageSize, tell } = searched;
  if (pageSize === undefined) return;
  for (const process of chosen) {
    const memory = await attempt(tell, async () => await memoryOf(archive, process, pageSize, tell, commons));
    if (memory !== undefined) yield* asFarAsItGoes(tell, ofProcess(memory, process, searched));
  }
}

/** What an iterable yields before it throws a UserError, which goes to `tell`. */
export async function* asFarAsItGoes<T>(tell: Tell, values: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* values;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    tell(error);
  }
}

async function* ofProcess(memory: ProcessMemory, process: Process, { table, done, tell }: Searched): AsyncGenerator<Stretch<Place>> {
  const { regions, pageSize } = memory;
  const { pid, comm } = process;
  const label = `process ${pid} ${comm}`;
  const elsewhere = { pages: 0 };
  const own: Place = {
    label,
    locate(address) {
      const region = regionAt(regions, address);
      return {
        in: "memory",
        process,
        address,
        region: kindOf(region, table),
        offset: address - (region?.start ?? 0n),
        mapped: true,
      };
    },
  };
  yield* pageStretches(counted(memory.own.runs(), elsewhere), pageSize, () => own);
  const shared = Map.groupBy(
    regions.filter(({ kind }) => kind === "shared"),
    ({ shmid }) => shmid,
  );
  for (const [shmid, mappings] of shared) {
    const [first] = mappings;
    const pages = first && (await attempt(tell, async () => await sharedPages(memory, first)));
    if (pages === undefined) continue;
    if (shmid !== undefined) done.add(shmid);
    const place: Place = {
      label,
      locate(at) {
        const region = mappings.find(({ offset, start, end }) => offset <= at && at < offset + end - start);
        const address = region === undefined ? at : region.start + at - region.offset;
        return {
          in: "memory",
          process,
          address,
          region: kindOf(region ?? first, table),
          offset: address - (region?.start ?? 0n),
          mapped: region !== undefined,
        };
      },
    };
    yield* pageStretches(counted(inBatches(pages.runs), elsewhere), pageSize, () => place);
  }
  if (elsewhere.pages > 0) tell(notHere(pid, elsewhere.pages));
}

async function* inBatches(runs: readonly PageRun[]): AsyncGenerator<readonly PageRun[]> {
  yield runs;
}

/** The same runs; pages that are not in this archive are added up. */
async function* counted(runs: AsyncIterable<readonly PageRun[]>, elsewhere: { pages: number }): AsyncGenerator<readonly PageRun[]> {
  for await (const batch of runs) {
    for (const { content, pages } of batch) if (content === "parent" || content === "lazy") elsewhere.pages += pages;
    yield batch;
  }
}

/** "heap", "stack", "anonymous" or a path; "unknown" where the image of the mappings is missing. */
function kindOf(region: Region | undefined, table: FileTable): string {
  if (region === undefined) return "unmapped";
  return regionName(region, table).replace(/^\[(.*)\]$/, "$1") || region.kind;
}

function notHere(pid: number, pages: number): UserError {
  return notThere(
    say`${pages} pages of process ${pid} were not searched: they are not in the archive`,
    "they are in an earlier checkpoint that this one builds on, or were left on the node",
    "--previous FILE names the checkpoint before",
  );
}
