// Every name in an archive inside an archive is written or mentioned: read here by a few lines that know of tar only the simplest.
import assert from "node:assert/strict";
import { posix } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Random } from "./random.ts";
import { nameText } from "../../src/model/name.ts";

interface Extraction {
  readonly items: readonly { readonly from: string }[];
  readonly skipped?: { readonly mountPoints: number; readonly names: readonly { readonly name: string }[] };
}

/** Throws where `extract FILE /` ended with exit status 0, but a file of rootfs-diff.tar is missing in its document. */
export function nothingHidden(archive: Buffer, document: unknown): void {
  const { items, skipped } = document as Extraction;
  const mentioned = new Set([...items.map(({ from }) => from), ...(skipped?.names ?? []).map(({ name }) => posix.join("/", name))]);
  const change = walk(plain(archive)).findLast(({ name }) => name.toString() === "rootfs-diff.tar");
  if (change === undefined || (skipped?.mountPoints ?? 0) > 0) return;
  for (const { name } of walk(plain(change.data))) {
    const path = posix.join("/", nameText(name)).replace(/\/$/, "");
    // Of containerd it is a deletion.
    if (posix.basename(path).startsWith(".wh.")) continue;
    assert.ok(mentioned.has(path), `${path} is in rootfs-diff.tar, was not extracted, and nothing says so`);
  }
}

/** What is archive in the archive, compressed or not, and images whose entries queues are in. */
const NOT_AS_IT_IS = /\.tar|ghost-file|(pipes-data|fifo-data|sk-queues|tcp-stream|tty-data|bpfmap-data|ipcns-(msg|shm))/;
const PAGE = 4096;
const NEEDLE = 12;

/** Bytes that stand in some file of the archive, in memory within one page; undefined where nothing can be said of that. */
export function somewhereIn(archive: Buffer, random: Random): Buffer | undefined {
  const files = walk(plain(archive)).filter(({ name, data }) => data.length > NEEDLE && !NOT_AS_IT_IS.test(name.toString("latin1")));
  if (files.length === 0) return undefined;
  const { data } = random.pick(files);
  const at = random.below(data.length - NEEDLE);
  const isWithin = (at % PAGE) + NEEDLE <= PAGE;
  return isWithin ? data.subarray(at, at + NEEDLE) : undefined;
}

function plain(bytes: Buffer): Buffer {
  try {
    return bytes[0] === 0x1f ? gunzipSync(bytes) : bytes[0] === 0x28 ? zstdDecompressSync(bytes) : bytes;
  } catch {
    return Buffer.alloc(0);
  }
}

/** Files that have a plain header of their own. */
function walk(bytes: Buffer): { name: Buffer; data: Buffer }[] {
  const files: { name: Buffer; data: Buffer }[] = [];
  let extended = false;
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0;) {
    const header = bytes.subarray(at, at + 512);
    const type = String.fromCharCode(header[156] ?? 0);
    const size = Number.parseInt(header.toString("latin1", 124, 135), 8);
    if (!Number.isSafeInteger(size) || size < 0 || !sound(header)) break;
    const name = Buffer.concat([text(header.subarray(345, 500)), text(header.subarray(0, 100))]);
    if (type === "0" && !extended && header[345] === 0) files.push({ name, data: bytes.subarray(at + 512, at + 512 + size) });
    extended = "xLKg".includes(type);
    at += 512 + Math.ceil((type === "0" || extended ? size : 0) / 512) * 512;
  }
  return files;
}

function sound(header: Buffer): boolean {
  const stated = Number.parseInt(header.toString("latin1", 148, 156), 8);
  return stated === header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
}

function text(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}
