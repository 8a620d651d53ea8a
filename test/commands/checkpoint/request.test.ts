// What the words and flags of the default verb mean.
import assert from "node:assert/strict";
import { test } from "node:test";
import { verb as checkpoint } from "../../../src/commands/checkpoint.ts";
import { requestOfLine } from "../running.ts";

test("--resume: what the file holds cannot be given besides, and the flag is named", () => {
  const cases: [string, RegExp][] = [
    ["nginx", /takes its targets from the file: no POD/],
    ["-c app", /^-c does not go with --resume/],
    ["--all-containers", /^--all-containers does not go with --resume/],
    ["-l app=web", /^-l does not go with --resume/],
    ["--field-selector a=b", /^--field-selector does not go with --resume/],
    ["-A", /^-A does not go with --resume/],
    ["--copy", /^--copy does not go with --resume/],
    ["--copy=x --remove", /^--copy does not go with --resume/],
    ["--remove", /^--remove does not go with --resume/],
    ["--compress zstd", /^--compress does not go with --resume/],
    ["--every 5m", /^--every does not go with --resume/],
    ["--keep 2", /^--keep does not go with --resume/],
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
