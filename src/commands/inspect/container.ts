import type { DeletedFileItem, MountItem, StatsItem } from "../../model/inspection.ts";
import { say, type Table } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";
import { holders } from "./descriptors.ts";
import { heading, type View } from "./view.ts";

/** Files that were deleted while they were open. */
export function* deletedView(files: readonly DeletedFileItem[] | undefined): Generator<View> {
  if (files === undefined || files.length === 0) return;
  yield heading(say`Deleted files still open`);
  yield {
    columns: ["PATH", "SIZE", "MODE", "OWNER", "OPENED BY"],
    rows: files.map(({ path, bytes, mode, uid, gid, openedBy }) => [path, formatBytes(bytes), mode, `${uid}:${gid}`, holders(openedBy)]),
  };
}

/** The mounts of the container, by path. */
export function* mountsView(mounts: readonly MountItem[] | undefined): Generator<View> {
  if (mounts === undefined) return;
  yield heading(say`Mounts`);
  const sorted = [...mounts].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : Number(a.id) - Number(b.id)));
  yield {
    columns: ["PATH", "TYPE", "CONTENT", "OPTIONS", "SOURCE"],
    rows: sorted.map(({ path, type, source, root, external, options }) => [
      path,
      type,
      external ? "outside" : "inside",
      options.join(","),
      root === "/" ? source : `${source}[${root}]`,
    ]),
  };
}

/** What CRIU counted. */
export function* statsView(stats: StatsItem | undefined): Generator<View> {
  yield heading(say`CRIU's statistics`);
  if (stats === undefined) yield say`the archive has none`;
  else yield table(stats);
}

function table(stats: StatsItem): Table {
  const seconds = (value: number): string => `${value.toFixed(6)}s`;
  return {
    columns: ["WHAT", "VALUE"],
    rows: [
      ["time to freeze the processes", seconds(stats.freezingSeconds)],
      ["time they stood still", seconds(stats.frozenSeconds)],
      ["time to take their memory", seconds(stats.memoryDumpSeconds)],
      ["time to write it", seconds(stats.memoryWriteSeconds)],
      ["pages looked at", stats.pagesScanned],
      ["pages written", stats.pagesWritten],
      ["pages in an earlier checkpoint", stats.pagesSkippedParent],
      ["pages left on the node", stats.pagesLazy],
      ["shared pages looked at", stats.sharedPagesScanned],
      ["shared pages written", stats.sharedPagesWritten],
      ["shared pages in an earlier checkpoint", stats.sharedPagesSkippedParent],
    ],
  };
}
