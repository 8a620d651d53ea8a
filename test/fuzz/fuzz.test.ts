import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./fuzz.ts";

const FULL = process.env["FULL"] !== undefined;
const CASES = FULL ? 20_000 : 50;
// The short run is the same each time: what it finds is of the change at hand. The long one looks for what nobody has met.
const SEED = Number(process.env["FUZZ_SEED"] ?? (FULL ? Math.floor(Math.random() * 1e6) : 1));

test(`${CASES} mutated archives: no crash, no hang, no flood of memory, no file outside`, { timeout: 3_600_000 }, async (t) => {
  t.diagnostic(`seed ${SEED}; again with FUZZ_SEED=${SEED}, a single case with: node test/fuzz/child.ts ${SEED} CASE`);
  const { failures, peakBytes } = await fuzz(SEED, CASES, ({ index, what }) => t.diagnostic(`case ${index}: ${what}`));
  t.diagnostic(`largest process: ${Math.round(peakBytes / 1e6)} MB`);
  assert.deepEqual(failures, []);
});
