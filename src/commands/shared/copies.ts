import type { Copy } from "../../model/documents.ts";
import { location, type NodeArchive } from "../../model/location.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../model/units.ts";
import { choice } from "./flags.ts";

/** How an archive is compressed between its node and here. */
export const CODEC = choice(["auto", "zstd", "lzop", "gzip", "none"], {
  value: "CODEC",
  help: "compress on the way: auto, zstd, lzop, gzip or none (default: auto, the fastest)",
});

/** What a finished copy says: where it is, how fast it came, and its hash. */
export function copyText(archive: NodeArchive, { path, bundle, bytes, seconds, sha256 }: Copy, removed: boolean | undefined): Phrase {
  const rate = seconds > 0 ? say` in ${formatSeconds(seconds)} (${formatBytes(Math.round(bytes / seconds))}/s)` : say``;
  const gone = removed === true ? say`, removed from ${archive.node}` : say``;
  return say`${location(archive)} copied: ${formatBytes(bytes)}${rate}, SHA-256 ${sha256}${gone}\n${path ?? ""}${bundle === undefined ? say`` : say`\n${bundle}`}`;
}
