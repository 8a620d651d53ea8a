import type { Source } from "../../../model/source.ts";

/** Present pages that have a place in a pair of regions. */
export interface PlacedPages {
  /** Which pair: ascending. */
  readonly pair: number;
  /** How many pages from the beginning of its region, or from address 0. */
  readonly page: number;
  readonly pages: number;
  /** Where their bytes are, from `offset` on. */
  readonly source: Source;
  readonly offset: number;
}

/** Told of pages that were compared and differ, with the place of the first. */
export type Count = (at: PlacedPages, compared: number, changed: number) => void;

/**
 * Compares pages by their places. A page that one side alone has counts as changed. Both sides are walked once, and
 * nothing of them is kept. Throws a UserError where pages cannot be read.
 */
export async function comparePages(
  from: AsyncIterable<PlacedPages>,
  to: AsyncIterable<PlacedPages>,
  pageSize: number,
  count: Count,
): Promise<void> {
  const [left, right] = [cursor(from, pageSize), cursor(to, pageSize)];
  const equalPages = pageComparer(pageSize);
  let [a, b] = [await left(0), await right(0)];
  while (a !== undefined || b !== undefined) {
    const [onlyA, onlyB] = [alone(a, b), alone(b, a)];
    if (a !== undefined && onlyA > 0) {
      count(a, onlyA, onlyA);
      a = await left(onlyA);
    } else if (b !== undefined && onlyB > 0) {
      count(b, onlyB, onlyB);
      b = await right(onlyB);
    } else if (a !== undefined && b !== undefined) {
      const pages = Math.min(a.pages, b.pages);
      count(a, pages, pages - (await equalPages(a, b, pages)));
      a = await left(pages);
      b = await right(pages);
    }
  }
}

/** How many pages one side has from where it is before the other side has any. */
function alone(one: PlacedPages | undefined, other: PlacedPages | undefined): number {
  if (one === undefined) return 0;
  if (other === undefined || one.pair < other.pair) return one.pages;
  return one.pair > other.pair ? 0 : Math.min(one.pages, Math.max(0, other.page - one.page));
}

/** Goes on by so many pages, and answers with what is there then. */
function cursor(placed: AsyncIterable<PlacedPages>, pageSize: number): (pages: number) => Promise<PlacedPages | undefined> {
  const iterator = placed[Symbol.asyncIterator]();
  let here: PlacedPages | undefined;
  return async (pages) => {
    if (here !== undefined && pages < here.pages) {
      const { pair, page, source, offset } = here;
      here = { pair, page: page + pages, pages: here.pages - pages, source, offset: offset + pages * pageSize };
    } else {
      const next = await iterator.next();
      here = next.done === true ? undefined : next.value;
    }
    return here;
  };
}

const CHUNK = 1 << 20;

/** Counts the pages that are equal. */
function pageComparer(pageSize: number): (a: PlacedPages, b: PlacedPages, pages: number) => Promise<number> {
  let room: readonly [Buffer, Buffer] | undefined;
  return async (a, b, pages) => {
    room ??= [Buffer.allocUnsafeSlow(CHUNK), Buffer.allocUnsafeSlow(CHUNK)];
    let equal = 0;
    const step = Math.max(1, Math.floor(CHUNK / pageSize));
    for (let done = 0; done < pages; done += step) {
      const count = Math.min(step, pages - done);
      const [offset, length] = [done * pageSize, count * pageSize];
      const [before, after] = await Promise.all([
        a.source.read(a.offset + offset, length, room[0]),
        b.source.read(b.offset + offset, length, room[1]),
      ]);
      equal += before.equals(after) ? count : equalAmong(before, after, pageSize);
    }
    return equal;
  };
}

function equalAmong(before: Buffer, after: Buffer, pageSize: number): number {
  let equal = 0;
  for (let at = 0; at < before.length; at += pageSize) {
    if (before.compare(after, at, at + pageSize, at, at + pageSize) === 0) equal += 1;
  }
  return equal;
}
