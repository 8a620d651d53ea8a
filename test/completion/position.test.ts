import assert from "node:assert/strict";
import { test } from "node:test";
import { position } from "../../src/cli/completion/position.ts";
import { VERBS } from "../../src/cli/table.ts";

/** The verb, what is wanted, and what of it is typed. */
function found(...line: string[]): unknown {
  const at = position(line.slice(0, -1), line.at(-1) ?? "", VERBS);
  if (at === undefined) return undefined;
  const { before, wanted, typed } = at;
  const what = wanted.kind === "value" ? `value of ${wanted.flag.name}` : wanted.kind === "word" ? `word ${wanted.index}` : "flag";
  return [before.verb.name, what, typed];
}

const CASES: readonly (readonly [line: string[], expected: unknown])[] = [
  [[""], ["checkpoint", "word 0", ""]],
  [["ng"], ["checkpoint", "word 0", "ng"]],
  [
    ["nginx", ""],
    ["checkpoint", "word 1", ""],
  ],
  [
    ["show", ""],
    ["show", "word 0", ""],
  ],
  [
    ["-n", "web", "show", "a.tar", "b"],
    ["show", "word 1", "b"],
  ],
  [
    ["-n", ""],
    ["checkpoint", "value of namespace", ""],
  ],
  [
    ["nginx", "-c", "ma"],
    ["checkpoint", "value of container", "ma"],
  ],
  [
    ["nginx", "-qc", ""],
    ["checkpoint", "value of container", ""],
  ],
  [["--namespace=we"], ["checkpoint", "value of namespace", "we"]],
  [["-o=js"], ["checkpoint", "value of output", "js"]],
  [
    ["show", "--"],
    ["show", "flag", "--"],
  ],
  [["-"], ["checkpoint", "flag", "-"]],
  // What begins with a dash may be a value too.
  [
    ["--token", "-"],
    ["checkpoint", "value of token", "-"],
  ],
  [
    ["--", "-"],
    ["checkpoint", "word 0", "-"],
  ],
  [["--no-such-flag", "x", ""], undefined],
  [["--no-such-flag=x"], undefined],
];

for (const [line, expected] of CASES) test(`kubectl checkpoint ${line.join(" ")}|`, () => assert.deepEqual(found(...line), expected));
