import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAge, formatBytes, formatSeconds, parseCount, parseDuration } from "../../src/model/units.ts";

test("durations are Go's, and days", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["1s", 1000],
    ["1.5h", 5_400_000],
    ["1h30m", 5_400_000],
    ["250ms", 250],
    ["7d", 604_800_000],
    [".5s", 500],
    ["1m0.5s", 60_500],
  ];
  for (const [text, milliseconds] of cases) assert.equal(parseDuration(text, "--timeout"), milliseconds, text);
});

test("what is no duration names the flag and shows how to write one", () => {
  for (const text of ["", "5", "5 s", "-1s", "1x", "s", "1s2", "1e3s", "∞"]) {
    assert.throws(() => parseDuration(text, "--timeout"), { reason: "Usage", exitCode: 2, message: new RegExp("--timeout") }, text);
  }
});

test("counts are whole, and at least what is asked", () => {
  assert.equal(parseCount("3", "--keep"), 3);
  for (const text of ["0", "-1", "1.5", "x", "", "99999999999999999999"])
    assert.throws(() => parseCount(text, "--keep"), { exitCode: 2 }, text);
});

test("sizes are IEC units", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [273_408, "267 KiB"],
    [1_048_575, "1.0 MiB"],
    [4_404_019, "4.2 MiB"],
    [20 * 2 ** 30, "20.0 GiB"],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
});

test("times for people", () => {
  assert.deepEqual([0.35, 9.96, 75, 750, 3700].map(formatSeconds), ["0.3s", "10.0s", "75s", "12m30s", "1h1m"]);
  assert.deepEqual([5000, 180_000, 7_200_000, 900_000_000].map(formatAge), ["5s", "3m", "2h", "10d"]);
});
