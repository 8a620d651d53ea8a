import assert from "node:assert/strict";
import { test } from "node:test";
import { gaps, isRanges, prefix, totalBytes, withRange, type Ranges } from "../../src/local/ranges.ts";

test("ranges merge where they touch or overlap, in any order", () => {
  let ranges: Ranges = [];
  for (const [begin, end] of [
    [10, 20],
    [30, 40],
    [20, 25],
    [0, 5],
    [24, 31],
    [5, 5],
  ] as const)
    ranges = withRange(ranges, begin, end);
  assert.deepEqual(ranges, [
    [0, 5],
    [10, 40],
  ]);
  assert.deepEqual(gaps(ranges, 50), [
    [5, 10],
    [40, 50],
  ]);
  assert.equal(totalBytes(ranges), 35);
  assert.equal(prefix(ranges), 5);
  assert.equal(prefix(withRange(ranges, 5, 10)), 40);
  assert.equal(prefix([[1, 2]]), 0);
  assert.deepEqual(gaps([], 0), []);
  assert.deepEqual(gaps([[0, 50]], 50), []);
});

test("only ranges of ours are resumed from", () => {
  assert.equal(
    isRanges(
      [
        [0, 5],
        [10, 40],
      ],
      40,
    ),
    true,
  );
  assert.equal(isRanges([], 0), true);
  for (const value of [
    undefined,
    null,
    {},
    "x",
    [[0]],
    [[0, 1, 2]],
    [[5, 0]],
    [
      [0, 5],
      [5, 6],
    ],
    [
      [0, 5],
      [3, 8],
    ],
    [[0, 41]],
    [[-1, 3]],
    [[0.5, 3]],
    [["0", 3]],
  ]) {
    assert.equal(isRanges(value, 40), false, JSON.stringify(value));
  }
});
