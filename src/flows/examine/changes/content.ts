import { isUtf8 } from "node:buffer";
import type { FileContent } from "../../../model/inspection.ts";

/** Bytes from the beginning of a file that tell what it is. */
export const HEAD = 4096;

/** What a file is, by its first bytes, at most HEAD of them. */
export function contentOf(head: Buffer): FileContent {
  if (head.length === 0) return "empty";
  const signature = SIGNATURES.find(([, hex, at = 0]) => head.toString("hex", at, at + hex.length / 2) === hex);
  if (signature !== undefined) return signature[0];
  const text = head.toString("latin1");
  return TEXTS.find(([, pattern]) => pattern.test(text))?.[0] ?? (isText(head) ? "text" : "data");
}

/** Bytes in hexadecimal, and where they stand. */
const SIGNATURES: readonly (readonly [content: FileContent, hex: string, at?: number])[] = [
  ["ELF", "7f454c46"],
  ["Windows program", "4d5a9000"],
  ["macOS program", "cffaedfe"],
  ["macOS program", "feedfacf"],
  ["database", Buffer.from("SQLite format 3").toString("hex")],
  // gzip, bzip2, xz, zstd, zip, 7-Zip, RAR, ar (Debian packages, static libraries), tar.
  ["archive", "1f8b"],
  ["archive", "425a68"],
  ["archive", "fd377a585a00"],
  ["archive", "28b52ffd"],
  ["archive", "504b0304"],
  ["archive", "377abcaf271c"],
  ["archive", "526172211a07"],
  ["archive", Buffer.from("!<arch>\n").toString("hex")],
  ["archive", Buffer.from("ustar").toString("hex"), 257],
];

const TEXTS: readonly (readonly [FileContent, RegExp])[] = [
  ["script", /^#![ \t]*\//],
  ["private key", /^\s*(-----BEGIN [A-Z ]*PRIVATE KEY-----|PuTTY-User-Key-File|AGE-SECRET-KEY-)/],
  ["public key", /^\s*(-----BEGIN [A-Z ]*PUBLIC KEY-----|(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+@openssh\.com) AAAA)/],
  ["certificate", /^\s*-----BEGIN ([A-Z]+ )?CERTIFICATE-----/],
];

/** Bell to carriage return, and escape. */
const TEXT_CONTROLS: ReadonlySet<number> = new Set([0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1b]);

/** UTF-8 without control characters other than those of text; a character may be cut at the end. */
function isText(head: Buffer): boolean {
  if (head.some((byte) => byte === 0x7f || (byte < 0x20 && !TEXT_CONTROLS.has(byte)))) return false;
  const cut = head.length < HEAD ? 0 : 3;
  for (let less = 0; less <= cut; less += 1) if (isUtf8(head.subarray(0, head.length - less))) return true;
  return false;
}
