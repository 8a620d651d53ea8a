import assert from "node:assert/strict";
import { test } from "node:test";
import { Chalk } from "chalk";
import { errorText } from "../../src/cli/errors.ts";
import { escapeJson, escapeText } from "../../src/cli/escape.ts";
import { Renderer } from "../../src/cli/render.ts";
import { UserError } from "../../src/model/error.ts";
import { command, say, styled } from "../../src/model/phrase.ts";

const HOSTILE = "a\u001b[31mred\u0007\u009b2J\r\n\u202eevil\u0000";
// oxlint-disable-next-line no-control-regex -- they are what must not be there
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

test("no control character of a value survives, printable text does", () => {
  assert.equal(escapeText(HOSTILE), String.raw`a\e[31mred\u0007\u009b2J\r\n\u202eevil\u0000`);
  assert.equal(escapeText("Zürich 東京 👍 pod-1"), "Zürich 東京 👍 pod-1");
});

test("a value cannot begin a line of its own, in text or in a table", () => {
  const renderer = new Renderer(new Chalk({ level: 0 }));
  assert.equal(renderer.phrase(say`pod/${HOSTILE} is ready\nnext`).split("\n").length, 2);
  assert.equal(renderer.table({ columns: ["A", "B"], rows: [[HOSTILE, "x"]] }).split("\n").length, 2);
});

test("styles are colours of ours, around escaped text", () => {
  const renderer = new Renderer(new Chalk({ level: 1 }));
  assert.equal(renderer.phrase(styled("bad", HOSTILE)), `\u001b[31m${escapeText(HOSTILE)}\u001b[39m`);
});

test("tables are aligned by what is seen", () => {
  const renderer = new Renderer(new Chalk({ level: 1 }));
  const lines = renderer
    .table({
      columns: ["NAME", "AGE"],
      rows: [
        [styled("good", "a"), "1s"],
        ["longer", "2s"],
      ],
    })
    .split("\n");
  assert.deepEqual(lines, ["NAME     AGE", "\u001b[32ma\u001b[39m        1s", "longer   2s"]);
});

test("JSON stays the same value and holds no control character", () => {
  const text = escapeJson(JSON.stringify({ name: HOSTILE }, undefined, 2));
  assert.doesNotMatch(text, CONTROL);
  assert.deepEqual(JSON.parse(text), { name: HOSTILE });
});

test("errors: what, why and fix, several lines of ours below their label, a value on one line, no stack", () => {
  const fix = command`cat ${"a\n  fix: rm -rf /"}\nls`;
  const error = new UserError({ reason: "X", message: `no ${HOSTILE}`, why: say`one\n${"two\nthree"}`, fix });
  const text = errorText(error, (label) => label);
  assert.doesNotMatch(text, CONTROL);
  assert.equal(text.split("\n").slice(1).join("\n"), `  why: one\n       two\\nthree\n  fix: cat $'a\\u000a  fix: rm -rf /'\n       ls`);
  assert.match(
    errorText(new TypeError("x is not a function"), (label) => label),
    /internal error: x is not a function\n {2}why: this is a bug/,
  );
});
