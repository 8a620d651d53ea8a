import type { Source } from "../model/source.ts";

/** Pages one after the other, in memory and where they are stored. */
export interface PageRun {
  /** In a shared memory's pagemap: bytes from its beginning. */
  readonly address: bigint;
  readonly pages: number;
  /**
   * "parent": in an earlier checkpoint that is not at hand; "lazy": left on the node, to be fetched when touched; "none": nowhere. Pages
   * of an earlier checkpoint that is at hand are present.
   */
  readonly content: "present" | "parent" | "lazy" | "none";
  /** Of present pages: where their bytes are, from `offset` on, as they are in memory. */
  readonly source: Source | undefined;
  readonly offset: number;
}

/** Runs as they come: in batches, addresses ascending. */
export type Runs = AsyncGenerator<PageRun[]>;

/** A part of a run: `pages` of it, after the first `skipped`. */
export function partOf(run: PageRun, skipped: number, pages: number, pageSize: number): PageRun {
  const { address, content, source, offset } = run;
  return { address: address + BigInt(skipped) * BigInt(pageSize), pages, content, source, offset: offset + skipped * pageSize };
}

/** The same runs, where pages of an earlier checkpoint are those that `parent` has. */
export async function* throughParent(runs: Runs, pageSize: number, parent: () => Promise<Runs | undefined>): Runs {
  let earlier: Cursor | undefined;
  for await (const batch of runs) {
    if (!batch.some(({ content }) => content === "parent")) {
      yield batch;
      continue;
    }
    earlier ??= cursor((await parent()) ?? nothing(), pageSize);
    const resolved: PageRun[] = [];
    for (const run of batch) {
      if (run.content !== "parent") resolved.push(run);
      else for await (const part of earlier(run)) resolved.push(part);
    }
    yield resolved;
  }
}

async function* nothing(): Runs {}

/** What an earlier checkpoint has of a run, and the run itself where it has nothing. Asked for ascending runs only. */
type Cursor = (run: PageRun) => AsyncGenerator<PageRun>;

function cursor(runs: Runs, pageSize: number): Cursor {
  const size = BigInt(pageSize);
  const each = one(runs);
  let here: PageRun | undefined;
  let ended = false;
  const next = async (): Promise<void> => {
    const { value, done } = await each.next();
    ended = done === true;
    here = done === true ? undefined : value;
  };
  return async function* (run) {
    let done = 0;
    while (done < run.pages) {
      if (here === undefined && !ended) await next();
      const at = run.address + BigInt(done) * size;
      const left = run.pages - done;
      if (here === undefined || here.address >= run.address + BigInt(run.pages) * size) {
        yield partOf(run, done, left, pageSize);
        return;
      }
      if (here.address + BigInt(here.pages) * size <= at) {
        here = undefined;
        continue;
      }
      if (here.address > at) {
        const gap = Number((here.address - at) / size);
        yield partOf(run, done, gap, pageSize);
        done += gap;
        continue;
      }
      const skipped = Number((at - here.address) / size);
      const pages = Math.min(left, here.pages - skipped);
      yield partOf(here, skipped, pages, pageSize);
      done += pages;
    }
  };
}

async function* one(runs: Runs): AsyncGenerator<PageRun, undefined> {
  for await (const batch of runs) yield* batch;
  return undefined;
}
