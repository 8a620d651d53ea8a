import type { MemoryItem } from "../../model/inspection.ts";
import { say } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";
import type { View } from "./view.ts";

/** The memory of a process: what each kind of region comes to, then the regions. */
export function* memoryView(memory: MemoryItem): Generator<View> {
  const { kinds, regions, mappedBytes, archivedBytes, elsewhereBytes } = memory;
  const count = kinds.reduce((sum, kind) => sum + kind.regions, 0);
  yield {
    columns: ["KIND", "REGIONS", "MAPPED", "IN ARCHIVE"],
    rows: [
      ...kinds.map((kind) => [kind.kind, kind.regions, formatBytes(kind.mappedBytes), formatBytes(kind.archivedBytes)]),
      ["all", count, formatBytes(mappedBytes), formatBytes(archivedBytes)],
    ],
  };
  if (elsewhereBytes > 0)
    yield say`${formatBytes(elsewhereBytes)} more are in an earlier checkpoint or were left on the node: not in this archive`;
  if (regions === undefined) return;
  yield say``;
  yield {
    columns: ["ADDRESS", "ACCESS", "KIND", "MAPPED", "IN ARCHIVE", "NAME"],
    rows: regions.map(({ start, end, access, kind, mappedBytes, archivedBytes, name }) => [
      `${start}-${end}`,
      access,
      kind,
      formatBytes(mappedBytes),
      archivedBytes === 0 ? "-" : formatBytes(archivedBytes),
      name,
    ]),
  };
}
