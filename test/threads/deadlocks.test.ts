import assert from "node:assert/strict";
import { test } from "node:test";
import { deadlocks } from "../../src/threads/deadlocks.ts";

function found(needs: Record<string, readonly string[]>): string[] {
  const nodes = new Map(Object.entries(needs).map(([key, all]) => [key, { needs: all }]));
  return deadlocks(nodes)
    .map((group) => group.sort().join(" "))
    .sort();
}

test("rings, who waits for itself and who nothing can help are found; who waits behind them is in none", () => {
  assert.deepEqual(found({ a: ["b"], b: ["a"], c: ["a"], d: ["d"], e: [], f: ["e"] }), ["a b", "d", "e"]);
});

test("what waits for any that goes on is no deadlock, however many others do not", () => {
  assert.deepEqual(found({ a: ["b", "free"], b: ["a"] }), []);
  assert.deepEqual(found({ a: ["p"], p: ["a", "c"], c: ["q"], q: ["running"] }), []);
  assert.deepEqual(found({ a: ["p"], p: ["b", "c"], b: ["a"], c: ["a"] }), ["a b c p"]);
});

test("a chain of 100,000 is gone through without a deep stack", () => {
  const chain: Record<string, string[]> = {};
  for (let at = 0; at < 100_000; at += 1) chain[`${at}`] = [`${(at + 1) % 100_000}`];
  assert.equal(found(chain)[0]?.split(" ").length, 100_000);
});
