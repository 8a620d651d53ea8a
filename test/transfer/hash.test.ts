import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { besideThis, inThisThread } from "../../src/transfer/hash.ts";
import { temporaryDirectory } from "../e2e/harness.ts";

const BYTES = randomBytes(9_000_001);
const SHA256 = createHash("sha256").update(BYTES).digest("hex");

for (const [where, make] of Object.entries({ "in this thread": inThisThread, "in a thread of its own": besideThis })) {
  test(`${where}: the bytes on the disk, as they come there`, async (t) => {
    await using file = await open(join(await temporaryDirectory(t), "x"), "w+");
    const hash = make(file);
    for (let at = 0; at < BYTES.length; at += 1_500_000) {
      const piece = BYTES.subarray(at, at + 1_500_000);
      await file.write(piece, 0, piece.length, at);
      hash.advance(at + piece.length);
    }
    assert.equal(await hash.finish(BYTES.length), SHA256);
    await hash.stop();
  });

  test(`${where}: a file that is shorter is an error, and to stop is none`, async (t) => {
    await using file = await open(join(await temporaryDirectory(t), "x"), "w+");
    await file.write(BYTES, 0, 1000, 0);
    const hash = make(file);
    await assert.rejects(hash.finish(2000), /shorter/);
    await hash.stop();
    const stopped = make(file);
    stopped.advance(1000);
    await stopped.stop();
  });
}
