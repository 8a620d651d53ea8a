import type { Archive } from "../archive/archive.ts";
import { decode } from "./decode.ts";
import { StatsEntrySchema } from "./gen/stats_pb.ts";
import { onlyEntry, openImage } from "./image.ts";
import { count } from "./numbers.ts";

/** What CRIU counted while it made the checkpoint. Page counts are in pages of that machine. */
export interface Statistics {
  /** To stop the processes. */
  readonly freezingSeconds: number;
  /** How long they stood still. */
  readonly frozenSeconds: number;
  /** To take their memory into pipes, … */
  readonly memoryDumpSeconds: number;
  /** … and to write it from there. */
  readonly memoryWriteSeconds: number;
  readonly pagesScanned: number;
  /** In an earlier checkpoint already. */
  readonly pagesSkippedParent: number;
  /** Without those of shared memory. */
  readonly pagesWritten: number;
  readonly pagesLazy: number;
  readonly sharedPagesScanned: number;
  readonly sharedPagesSkippedParent: number;
  readonly sharedPagesWritten: number;
}

const STATS = "stats-dump";

/** Of stats-dump, beside the images; undefined where the engine left it out (containerd before 2.1). Throws a UserError where it is damaged. */
export async function statistics(archive: Archive): Promise<Statistics | undefined> {
  if (!archive.members.has(STATS)) return undefined;
  const { dump } = decode(StatsEntrySchema, await onlyEntry(await openImage(archive, STATS)), STATS);
  if (dump === undefined) return undefined;
  const pages = (value: bigint): number => count(value, STATS);
  return {
    freezingSeconds: dump.freezingTime / 1e6,
    frozenSeconds: dump.frozenTime / 1e6,
    memoryDumpSeconds: dump.memdumpTime / 1e6,
    memoryWriteSeconds: dump.memwriteTime / 1e6,
    pagesScanned: pages(dump.pagesScanned),
    pagesSkippedParent: pages(dump.pagesSkippedParent),
    pagesWritten: pages(dump.pagesWritten),
    pagesLazy: pages(dump.pagesLazy),
    sharedPagesScanned: pages(dump.shpagesScanned),
    sharedPagesSkippedParent: pages(dump.shpagesSkippedParent),
    sharedPagesWritten: pages(dump.shpagesWritten),
  };
}
