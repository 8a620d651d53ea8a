import type { Archive } from "../archive/archive.ts";
import type { Source } from "../model/source.ts";
import type { Pagemap, PageRun } from "./pagemap.ts";
import { damaged, notThere } from "./problems.ts";

/** A pagemap with its file of pages. */
export interface Pages {
  readonly map: Pagemap;
  readonly source: Source | undefined;
}

export function pagesOf(archive: Archive, map: Pagemap): Pages {
  return { map, source: archive.members.has(map.pagesName) ? archive.open(map.pagesName) : undefined };
}

/** The file that holds a run's pages. Throws a UserError where it is missing or too short for them. */
export function pagesSource({ map, source }: Pages, run: PageRun, pageSize: number): Source {
  if (source === undefined) throw notThere(`${map.pagesName} is not in the archive`, `${map.name} says that it holds its pages`);
  if ((run.firstPage + run.pages) * pageSize > source.size) {
    throw damaged(map.pagesName, `it has ${source.size} bytes, fewer than the pages that ${map.name} counts`);
  }
  return source;
}
