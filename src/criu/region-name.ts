import { filePath, type FileTable } from "./files/table.ts";
import type { Region } from "./regions.ts";

/** What /proc/PID/maps would write: a path, or what the region is. */
export function regionName({ kind, note, fileId }: Region, table: FileTable): string {
  if (fileId !== undefined) return filePath(table, fileId) ?? `file ${fileId}`;
  if (note !== "") return `[${note}]`;
  return kind === "heap" || kind === "stack" ? `[${kind}]` : "";
}
