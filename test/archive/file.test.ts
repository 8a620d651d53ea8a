import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { fileSource } from "../../src/archive/file.ts";

test("short reads one after the other leave signals and timers their turn", async () => {
  const fd = openSync(import.meta.filename, "r");
  const source = fileSource(fd, 100);
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  for (let count = 0; count < 300_000; count += 1) await source.read(0, 100);
  clearInterval(timer);
  closeSync(fd);
  assert.ok(turns > 0);
});
