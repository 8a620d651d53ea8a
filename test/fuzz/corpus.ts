// The real archives as lists of members, from which mutations are made.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { withChecksum } from "../archive/tars.ts";

export interface CorpusMember {
  readonly name: string;
  readonly header: Buffer;
  readonly data: Buffer;
}

const DATA = "test/data";
const FOLDERS = ["archives", "runtimes", "threads", "faults"];
/** Larger ones compressed by zstd have more memory, and nothing else for a parser. */
const LARGEST_COMPRESSED = 64 << 10;
/** Memory beyond this many bytes a file is cut away: it is not what parsers stumble over, and takes time. */
const MOST_PAGES = 128 << 10;

export function corpus(): CorpusMember[][] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(DATA, folder))
      .filter((name) => /\.tar(\.gz|\.zst)?$/.test(name))
      .sort()
      .map((name) => join(DATA, folder, name))
      .filter((path) => !path.endsWith(".zst") || statSync(path).size < LARGEST_COMPRESSED),
  ).map((path) => members(plain(readFileSync(path))));
}

function plain(bytes: Buffer): Buffer {
  if (bytes[0] === 0x1f) return gunzipSync(bytes);
  return bytes[0] === 0x28 ? zstdDecompressSync(bytes) : bytes;
}

function members(bytes: Buffer): CorpusMember[] {
  const all: CorpusMember[] = [];
  for (let at = 0; bytes[at] !== 0;) {
    const header = Buffer.from(bytes.subarray(at, at + 512));
    const size = Number.parseInt(header.toString("latin1", 124, 135), 8);
    const name = header.toString("utf8", 0, header.indexOf(0));
    const kept = name.includes("/pages-") ? Math.min(size, MOST_PAGES) : size;
    const data = Buffer.from(bytes.subarray(at + 512, at + 512 + kept));
    all.push({ name, header: withSize(header, data.length), data });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return all;
}

/** A header that says so many bytes, with its checksum put right. */
export function withSize(header: Buffer, size: number): Buffer {
  const copy = Buffer.from(header);
  copy.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  return withChecksum(copy);
}
