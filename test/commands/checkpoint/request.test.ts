// What the words and flags of the default verb mean.
import assert from "node:assert/strict";
import { test } from "node:test";
import { verb as checkpoint } from "../../../src/commands/checkpoint.ts";
import { requestOfLine } from "../running.ts";

test("--resume: what the file holds cannot be given besides, and the flag is named", () => {
  const cases: [string, RegExp][] = [
    ["nginx", /^POD and --resume cannot be used together/],
    ["-c app", /^-c and --resume cannot be used together/],
    ["--all-containers", /^--all-containers and --resume cannot be used together/],
    ["-l app=web", /^-l and --resume cannot be used together/],
    ["--field-selector a=b", /^--field-selector and --resume cannot be used together/],
    ["-A", /^-A and --resume cannot be used together/],
    ["--copy", /^--copy and --resume cannot be used together/],
    ["--copy=x --remove", /^--copy and --resume cannot be used together/],
    ["--remove", /^--remove and --resume cannot be used together/],
    ["--compress zstd", /^--compress and --resume cannot be used together/],
    ["--every 5m", /^--every and --resume cannot be used together/],
    ["--keep 2", /^--keep and --resume cannot be used together/],
  ];
  for (const [more, message] of cases)
    assert.throws(() => requestOfLine(checkpoint, `--resume run.json ${more}`), { reason: "Usage", exitCode: 2, message });
});

test("--resume: --force, --timeout and the limits count; without them the file's do", () => {
  const { resume, force, timeoutMs, perNode, parallel } = requestOfLine(
    checkpoint,
    "--resume run.json --force --timeout 5m --per-node 2 --parallel 3",
  );
  assert.deepEqual([resume, force, timeoutMs, perNode, parallel], ["run.json", true, 300_000, 2, 3]);
  const plain = requestOfLine(checkpoint, "--resume run.json");
  assert.deepEqual([plain.force, plain.timeoutMs, plain.perNode, plain.parallel], [false, undefined, undefined, undefined]);
});
