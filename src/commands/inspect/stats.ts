import type { StatsItem } from "../../model/inspection.ts";
import { say, type Table } from "../../model/phrase.ts";
import { heading, type View } from "./view.ts";

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
