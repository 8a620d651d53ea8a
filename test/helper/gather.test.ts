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

test("a buffer is used again when its bytes have been read, and not before", () => {
  let unread = 0;
  const got: Buffer[] = [];
  const gather = new Gather(
    (bytes) => got.push(bytes) > 0,
    () => unread,
  );
  const add = (byte: number): Buffer => {
    gather.add(Buffer.alloc(131_072, byte));
    return got.at(-1) ?? assert.fail();
  };
  const first = add(1);
  assert.equal(add(2).buffer, first.buffer, "all was read");
  unread = 131_072;
  const third = add(3);
  assert.notEqual(third.buffer, first.buffer, "the second is still to be read");
  assert.deepEqual([first[0], third[0]], [2, 3]);
  assert.equal(add(4).buffer, first.buffer, "only the third is");
});
