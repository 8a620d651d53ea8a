import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesMatcher, rarestOf } from "../../src/criu/search/matcher.ts";
import { randomOf } from "../fuzz/random.ts";

function part(bytes: Buffer, from = 0, to = bytes.length) {
  return { bytes, address: 0n, from, to };
}

/** As one would find them by hand. */
function naive(bytes: Buffer, needle: Buffer, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = from; at < to;) {
    const isThere = bytes.subarray(at, at + needle.length).equals(needle);
    if (isThere) found.push(at);
    at += isThere ? needle.length : 1;
  }
  return found;
}

test("the rarest byte of a needle, or none where all are common", () => {
  const memory = part(Buffer.from("aaaaaaaab".repeat(1000)));
  assert.equal(rarestOf(Buffer.from("ab?a"), [memory], 256), 2);
  assert.equal(rarestOf(Buffer.from("ab"), [memory], 256), undefined);
  assert.equal(rarestOf(Buffer.from("ab"), [memory], 8), 1);
});

test("finds what a search by hand finds, in memory of any monotony, whatever was rare before", () => {
  for (let index = 0; index < 300; index += 1) {
    const random = randomOf(7, index);
    const alphabet = 1 + random.below(random.oneIn(3) ? 255 : 4);
    const needle = Buffer.from(random.bytes(1 + random.below(6)).map((byte) => byte % alphabet));
    const matcher = bytesMatcher(needle);
    // The first window decides by which byte is searched, the second may be quite another.
    for (const letters of [256, alphabet]) {
      const bytes = Buffer.from(random.bytes(3000).map((byte) => byte % letters));
      const from = random.below(100);
      const to = 2000 + random.below(1000);
      const found = [...matcher.hits([part(bytes, from, to)])].map(({ start }) => start);
      assert.deepEqual(found, naive(bytes, needle, from, to), `${needle.toString("hex")} in case ${index}`);
    }
  }
});

test("a match may end after the part's new bytes, but not begin there; the last byte counts", () => {
  const bytes = Buffer.from("..needle....needle");
  const starts = (from: number, to: number) =>
    [...bytesMatcher(Buffer.from("needle")).hits([part(bytes, from, to)])].map(({ start }) => start);
  assert.deepEqual(starts(0, bytes.length), [2, 12]);
  assert.deepEqual(starts(0, 3), [2]);
  assert.deepEqual(starts(0, 2), []);
  assert.deepEqual(starts(3, 13), [12]);
});
