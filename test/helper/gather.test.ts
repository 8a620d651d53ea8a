import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Gather } from "../../src/helper/gather.ts";

test("pieces of any length arrive in order and whole, in few larger ones, though their own memory is used again", async () => {
  const sent: Buffer[] = [];
  const got: Buffer[] = [];
  const gather = new Gather((bytes) => got.push(bytes) > 0);
  const shared = Buffer.alloc(300_000);
  for (const length of [1, 70_000, 0, 16_384, 300_000, 65_536, 3, 131_072, 131_071, 5]) {
    const piece = randomBytes(length);
    sent.push(piece);
    piece.copy(shared);
    gather.add(shared.subarray(0, length));
    shared.fill(0);
    if (length % 2 === 1) await turn();
  }
  gather.flush();
  assert.ok(Buffer.concat(got).equals(Buffer.concat(sent)));
  assert.ok(got.length < 16, `${got.length} pieces`);
});

test("what is gathered does not wait for more, and the receiver's word is handed on", async () => {
  const got: string[] = [];
  const gather = new Gather((bytes) => {
    got.push(bytes.toString());
    return false;
  });
  assert.equal(gather.add(Buffer.from("a")), true, "nothing was handed on yet");
  gather.add(Buffer.from("b"));
  await turn();
  await turn();
  assert.deepEqual(got, ["ab"]);
  assert.equal(gather.add(Buffer.alloc(200_000)), false);
});
