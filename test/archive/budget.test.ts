import assert from "node:assert/strict";
import { test } from "node:test";
import { Budget } from "../../src/archive/budget.ts";

test("what is kept is bounded; a lease gives it back", () => {
  const budget = new Budget();
  for (let round = 0; round < 50; round += 1) {
    using lease = budget.lease("mm-1.img");
    lease.keep(200_000);
  }
  budget.keep("files.img", 200_000, 1000);
  assert.throws(() => budget.keep("files.img", 200_000), { reason: "TooLarge", message: /^files\.img has too much in it/ });
});

test("what was refused is not counted: smaller things can still be kept", () => {
  const budget = new Budget();
  assert.throws(() => budget.keep("bomb.img", 1e9), { reason: "TooLarge" });
  budget.keep("small.img", 100);
});

test("processor time: 5 s, 2 s more for each 100 MB decoded, 0.25 s for each 1000 objects kept", () => {
  let time = 1000;
  const budget = new Budget(() => time);
  budget.opened(1e9);
  time += 5000;
  budget.step(10_000);
  time += 100;
  assert.throws(() => budget.step(10_000), { reason: "TooSlow" });
  budget.decode(10e6);
  budget.step(10_000);
  time += 200;
  assert.throws(() => budget.decode(1 << 20), { reason: "TooSlow" });
  budget.keep("mm-1.img", 10_000);
  time += 2000;
  budget.step(10_000);
  time += 1000;
  assert.throws(() => budget.step(10_000), { reason: "TooSlow" });
});

test("files take time to be made, however small they are: 2 s for each 1000", () => {
  let time = 0;
  const budget = new Budget(() => time);
  for (let count = 0; count < 60_000; count += 1) budget.makeFile();
  time = 124_000;
  budget.step(10_000);
  time = 126_000;
  assert.throws(() => budget.step(10_000), { reason: "TooSlow" });
});

test("the time of what the user asked for does not count", () => {
  let time = 0;
  const budget = new Budget(() => time);
  budget.excuse(() => (time += 60_000));
  budget.step(10_000);
});

test("bytes decoded and written are bounded by the archive's size", () => {
  const budget = Budget.withoutClock();
  budget.opened(1000);
  budget.write(4000);
  assert.throws(() => budget.write(1), { reason: "TooMuchToWrite", fix: /--max-bytes/ });
  budget.allowWriting(10_000);
  budget.write(5000);
  assert.throws(() => budget.write(5000), { reason: "TooMuchToWrite", message: /--max-bytes/ });
  budget.decode(2 ** 30);
  assert.throws(() => budget.decode(100_000), { reason: "TooLarge" });
});
