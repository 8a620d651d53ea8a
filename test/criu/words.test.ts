// Words in memory: by vectors, and without them where a processor has none.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { vectorCandidates } from "../../src/criu/search/vectors.ts";
import { wordsMatcher } from "../../src/criu/search/words.ts";

const WORDS = ["-----BEGIN ", "AKIA", "ghp_", "github_pat_", "eyJhbGci", "hvs.", "aaaa", "\u00ff\u0000\u0080~"].map((word) =>
  Buffer.from(word, "latin1"),
);

const MATCHERS = {
  vectors: wordsMatcher(WORDS, 16),
  text: wordsMatcher(WORDS, 16, () => undefined),
};

/** One byte after the other. */
function expected(bytes: Buffer, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = from; at < to; at += 1) {
    const word = WORDS.find((one) => one[0] === bytes[at] && bytes.subarray(at, at + one.length).equals(one));
    if (word === undefined) continue;
    found.push(at);
    at += word.length - 1;
  }
  return found;
}

test("this machine has vectors", () => {
  assert.ok(vectorCandidates([Buffer.from("AKIA")]));
});

for (const [name, matcher] of Object.entries(MATCHERS)) {
  const starts = (bytes: Buffer, from = 0, to = bytes.length): number[] =>
    [...matcher.hits([{ bytes, address: 0n, from, to }])].map(({ start }) => start);

  test(`${name}: every word wherever it stands, also where slices meet, and only within from and to`, () => {
    const bytes = Buffer.alloc((128 << 10) + 40, ".");
    const places = [0, 13, 30, 47, (64 << 10) - 14, (64 << 10) - 3, (64 << 10) + 8, (128 << 10) - 1, bytes.length - 4];
    for (const [index, at] of places.entries()) (index % 3 === 0 ? (WORDS[1] as Buffer) : (WORDS[index % 2] as Buffer)).copy(bytes, at);
    assert.deepEqual(starts(bytes), expected(bytes, 0, bytes.length));
    assert.equal(starts(bytes)[0], 0);
    for (const [from, to] of [
      [1, 47],
      [13, 14],
      [14, 31],
      [(64 << 10) - 14, (64 << 10) - 13],
      [bytes.length - 4, bytes.length],
    ] as const)
      assert.deepEqual(starts(bytes, from, to), expected(bytes, from, to), `${from} to ${to}`);
    for (const length of [0, 1, 3, 4, 17])
      assert.deepEqual(starts(bytes.subarray(0, length)), length < 4 ? [] : expected(bytes, 0, length));
  });

  test(`${name}: what comes of chance, of nearly nothing but words, and of one byte again and again`, () => {
    const pieces = [...WORDS, ...WORDS.map((word) => word.subarray(1)), Buffer.from("----"), Buffer.alloc(1)];
    for (let round = 0; round < 40; round += 1) {
      const bytes = Buffer.concat(Array.from({ length: 1 + randomInt(200) }, () => pieces[randomInt(pieces.length)] as Buffer));
      assert.deepEqual(starts(bytes), expected(bytes, 0, bytes.length), bytes.toString("hex"));
    }
    for (const byte of ["a", "-", "\0"]) {
      const bytes = Buffer.alloc(70_000, byte);
      assert.deepEqual(starts(bytes), expected(bytes, 0, bytes.length));
    }
  });
}
