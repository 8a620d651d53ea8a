import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Codec } from "../../src/helper/directory.ts";
import { decoder } from "../../src/transfer/decode.ts";
import { Malformed } from "../../src/transfer/plain.ts";
import { decompressLzo1x } from "../../src/transfer/lzo.ts";
import { program } from "../tools/tool.ts";

/** Text that compresses, bytes that do not, runs, and repetitions near and far. */
const PLAIN = Buffer.concat([
  Buffer.from("checkpoint ".repeat(5000)),
  Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 2_654_435_761) >>> 24)),
  Buffer.alloc(300_000),
  Buffer.from("abcdefgh".repeat(40_000)),
  Buffer.from(Array.from({ length: 3 }, () => "a far repetition of something that stood here before ").join("x".repeat(40_000))),
]);

/** By lzop, else by busybox' own. */
function lzop(plain: Buffer): Buffer | undefined {
  const command = program("lzop") ?? program("busybox")?.concat("lzop");
  if (command === undefined) return undefined;
  const [file = "", ...args] = command;
  return execFileSync(file, [...args, "-1", "-c"], { input: plain, maxBuffer: 1 << 28, stdio: ["pipe", "pipe", "ignore"] });
}

async function decode(codec: Codec, encoded: Buffer, pieceLength: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let place: Buffer | undefined;
  const decoding = decoder(codec, {
    write: (piece) => void pieces.push(Buffer.from(piece)),
    take: (piece, release) => {
      pieces.push(Buffer.from(piece));
      release();
      return undefined;
    },
    place: (length) => (place = length % 3 === 0 ? undefined : Buffer.alloc(length)),
    filled: () => void pieces.push(Buffer.from(place ?? assert.fail("nothing was filled"))),
  });
  for (let at = 0; at < encoded.length; at += pieceLength) await decoding.sink(encoded.subarray(at, at + pieceLength));
  await decoding.end();
  return Buffer.concat(pieces);
}

const ENCODED: [Codec, Buffer | undefined][] = [
  ["none", PLAIN],
  ["gzip", gzipSync(PLAIN, { level: 1 })],
  ["zstd", zstdCompressSync(PLAIN)],
  ["lzop", lzop(PLAIN)],
];

for (const [codec, encoded] of ENCODED) {
  const skip =
    encoded === undefined ? "there is neither lzop nor busybox, and no tree of the cluster that has them: npm run cluster -- up" : false;
  test(`${codec}: the same bytes, in pieces of any length`, { skip }, async () => {
    for (const length of [1 << 20, 4093, 17]) assert.ok((await decode(codec, encoded ?? PLAIN, length)).equals(PLAIN), String(length));
  });
  if (codec === "none") continue;
  test(`${codec}: cut off anywhere, it is an error or too short`, { skip }, async () => {
    const whole = encoded ?? PLAIN;
    for (const length of [0, 5, 30, 1000, whole.length - 1]) {
      const decoded: unknown = await decode(codec, whole.subarray(0, length), 4096).catch((error: unknown) => error);
      assert.ok(
        decoded instanceof Malformed || (decoded as Buffer).length < PLAIN.length || length === whole.length - 1,
        `${length} bytes`,
      );
    }
  });
  test(`${codec}: damaged, it is an error or other bytes, never a hang or a crash`, { skip }, async () => {
    for (let index = 0; index < 200; index += 1) {
      const damaged = Buffer.from(encoded ?? PLAIN);
      const at = Math.floor((index * damaged.length) / 200);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (index % 8));
      const decoded: unknown = await decode(codec, damaged, 8192).catch((error: unknown) => error);
      assert.ok(decoded instanceof Malformed || decoded instanceof Buffer, String(decoded));
    }
  });
}

test("LZO: instructions that lead out of the block are refused", () => {
  const cases = [[], [0x11], [0xff], [22, 1, 2], [0x40, 0x00], [0x20, 0, 0, 0, 0, 0], [0x12, 1, 0x11, 0, 0]];
  for (const bytes of cases) assert.throws(() => decompressLzo1x(Uint8Array.from(bytes), new Uint8Array(16)), /LZO/, bytes.join());
  // Four literals "abcd", then the end of the stream.
  const target = new Uint8Array(4);
  decompressLzo1x(Uint8Array.from([21, 97, 98, 99, 100, 0x11, 0, 0]), target);
  assert.equal(Buffer.from(target).toString(), "abcd");
  assert.throws(() => decompressLzo1x(Uint8Array.from([21, 97, 98, 99, 100, 0x11, 0, 0]), new Uint8Array(5)), /LZO/);
});
