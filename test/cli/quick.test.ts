// What is answered at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { quickAnswer } from "../../src/cli/quick.ts";
import { VERBS } from "../../src/cli/table.ts";
import { readWords } from "../../src/cli/words.ts";

function answer(...argv: string[]): string | undefined {
  return quickAnswer(readWords(argv, VERBS), { version: "v1.2.3", node: "26.0.0", platform: "linux-x64" });
}

test("version and help", () => {
  for (const argv of [["version"], ["--version"]]) assert.equal(answer(...argv), "kubectl-checkpoint v1.2.3 (Node.js 26.0.0, linux-x64)\n");
  assert.match(answer("help", "cp") ?? "", /^Usage:\n {2}kubectl checkpoint cp NODE:ARCHIVE\.\.\. \[DEST\]/);
  assert.match(answer("version", "foo", "--help") ?? "", /^Usage:\n {2}kubectl checkpoint version/);
  assert.equal(answer("cp", "a"), undefined);
});

test("a word too many is a usage error, as elsewhere", () => {
  assert.throws(() => answer("version", "foo"), { exitCode: 2, message: 'unexpected argument "foo": version takes none' });
  assert.throws(() => answer("help", "cp", "rm"), { exitCode: 2, message: 'unexpected argument "rm": help takes one verb' });
  assert.throws(() => answer("help", "nope"), { exitCode: 2, message: 'unknown verb "nope"' });
});
