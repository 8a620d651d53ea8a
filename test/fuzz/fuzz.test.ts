import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { test } from "node:test";
import { fuzz } from "./fuzz.ts";

const FULL = process.env["FULL"] !== undefined;
// A long series can be made in steps: FUZZ_FIRST=5000 FUZZ_COUNT=5000 are cases 5,000 to 9,999 of the seed.
const FIRST = Number(process.env["FUZZ_FIRST"] ?? 0);
const COUNT = Number(process.env["FUZZ_COUNT"] ?? (FULL ? 20_000 : 50));
// The short run is the same each time: what it finds is of the change at hand. The long one looks for what nobody has met.
const SEED = Number(process.env["FUZZ_SEED"] ?? (FULL ? Math.floor(Math.random() * 1e6) : 1));
/** A file to which a line is added for each case when it has ended. */
const LOG = process.env["FUZZ_LOG"];

test(`${COUNT} mutated archives: no crash, no hang, no flood of memory, no file outside`, { timeout: 7_200_000 }, async (t) => {
  t.diagnostic(`seed ${SEED}; again with FUZZ_SEED=${SEED}, a single case with: node test/fuzz/child.ts ${SEED} CASE`);
  const { tried, failures, peakBytes } = await fuzz({ seed: SEED, first: FIRST, count: COUNT }, (outcome) => {
    if (outcome.what !== undefined) t.diagnostic(`case ${outcome.index}: ${outcome.what}`);
    if (LOG !== undefined) appendFileSync(LOG, `${JSON.stringify({ seed: SEED, ...outcome })}\n`);
  });
  t.diagnostic(`${tried} cases tried; largest process: ${Math.round(peakBytes / 1e6)} MB`);
  assert.deepEqual(failures, []);
  assert.equal(tried, COUNT);
});
