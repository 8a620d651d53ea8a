import { UserError } from "../model/error.ts";

export type Compression = "none" | "gzip" | "zstd";

/** Magic bytes of what is read, and of what is only recognised so that the error can name it. */
const MAGICS: readonly (readonly [bytes: string, name: string])[] = [
  ["1f8b", "gzip"],
  ["28b52ffd", "zstd"],
  ["fd377a585a00", "xz"],
  ["425a68", "bzip2"],
  ["04224d18", "lz4"],
  ["894c5a4f", "lzop"],
  ["504b0304", "zip"],
];

/** How something is compressed, by its first bytes (8 suffice). Throws a UserError for compressions that are not read. */
export function compressionOf(head: Buffer, label: string): Compression {
  const hex = head.subarray(0, 8).toString("hex");
  // A zstd file may begin with skippable frames: 0x184D2A5?, little-endian.
  if (/^5.2a4d18/.test(hex)) return "zstd";
  const found = MAGICS.find(([bytes]) => hex.startsWith(bytes))?.[1];
  if (found === undefined) return "none";
  if (found === "gzip" || found === "zstd") return found;
  throw new UserError({
    reason: "UnknownCompression",
    message: `${label} is compressed with ${found}, which no engine uses and this plugin does not read`,
    fix: `unpack it with ${found} first`,
  });
}
