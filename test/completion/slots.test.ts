import assert from "node:assert/strict";
import { test } from "node:test";
import { kindsAt, slots } from "../../src/cli/completion/position.ts";

/** Lines of the contract (design/cli.md). */
const LINES: readonly (readonly [usage: string, ...slots: string[]])[] = [
  ["[POD | TYPE/NAME]... [-c NAME]... [--all-containers] [-A] [--copy[=DEST]] [--resume RUN.json]", "POD|TYPE/NAME..."],
  ["cp NODE:ARCHIVE... [DEST] [--force] [--compress auto|zstd|lzop|gzip|none] [--remove]", "NODE:ARCHIVE...", "DEST"],
  ["ls [POD] [--node NODE]... [-A]", "POD"],
  ["prune (--keep N | --older-than D | both) [--node NODE]... [-A]"],
  ["doctor [POD | node/NODE] [-c NAME] [--deep] [--fix[=apply]]", "POD|node/NODE"],
  ["search FILE PATTERN [--regex | --hex] [--pid PID]", "FILE", "PATTERN"],
  ["diff FILE FILE", "FILE", "FILE"],
  ["extract FILE (PATH | --pid PID [--range START-END]) [--to DEST]", "FILE", "PATH"],
  ["image FILE REFERENCE (--push | --to oci:DIR | --to oci-archive:FILE) [--compress zstd|gzip|none]", "FILE", "REFERENCE"],
  ["restore (FILE --image REFERENCE | --image REFERENCE) [--set-image NAME=REF]... [--isolated]", "FILE"],
  ["move POD --to NODE --image REFERENCE [--force]", "POD"],
  ["completion --install"],
  ["help [VERB]", "VERB"],
];

for (const [usage, ...expected] of LINES) {
  test(`words in: ${usage}`, () => {
    assert.deepEqual(
      slots(usage).map(({ kinds, repeated }) => kinds.join("|") + (repeated ? "..." : "")),
      expected,
    );
  });
}

test("a place is filled by every usage line that has it, the last one again where it may be repeated", () => {
  const usages = ["extract FILE PATH", "extract FILE --pid PID"];
  assert.deepEqual(kindsAt(usages, 0), ["FILE"]);
  assert.deepEqual(kindsAt(usages, 1), ["PATH"]);
  assert.deepEqual(kindsAt(usages, 2), []);
  assert.deepEqual(kindsAt(["show FILE..."], 7), ["FILE"]);
});

test("a repeated place stays where another one follows it", () => {
  const usages = ["cp NODE:ARCHIVE... [DEST] [--force]"];
  assert.deepEqual(kindsAt(usages, 0), ["NODE:ARCHIVE"]);
  for (const index of [1, 2, 7]) assert.deepEqual(kindsAt(usages, index), ["NODE:ARCHIVE", "DEST"]);
});
