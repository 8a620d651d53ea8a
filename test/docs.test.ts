// CONTRIBUTING's map of the sources is that of the sources.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parseFlags } from "../src/cli/parse.ts";
import { VERBS } from "../src/cli/table.ts";
import { readWords } from "../src/cli/words.ts";
import { valuesOf } from "../src/commands/shared/flags.ts";
import { drawn } from "./screens/svg.ts";

const ROOT = resolve(import.meta.dirname, "..");
const CONTRIBUTING = readFileSync(join(ROOT, "CONTRIBUTING.md"), "utf8");

function folders(path: string): string[] {
  return readdirSync(join(ROOT, path))
    .filter((name) => statSync(join(ROOT, path, name)).isDirectory())
    .map((name) => `${path}/${name}`);
}

/** Folders of the map: those of src, and what is indented below each. */
function mapped(): string[] {
  const [, map = ""] = /## Where things are\n\n```\n([^]*?)```/.exec(CONTRIBUTING) ?? [];
  let parent = "";
  return map.split("\n").flatMap((line) => {
    const [, top] = /^(src\/[a-z]+)\/ /.exec(line) ?? [];
    if (top !== undefined) return [(parent = top)];
    const [, below] = /^ {2}((?:[a-z]+\/ *)+)/.exec(line) ?? [];
    return below === undefined ? [] : [...below.matchAll(/[a-z]+/g)].map(([name]) => `${parent}/${name}`);
  });
}

test("CONTRIBUTING's map has every folder of src and of its rooms, and no other", () => {
  const rooms = folders("src");
  assert.deepEqual(mapped().sort(), [...rooms, ...rooms.flatMap(folders)].sort());
});

test("what the newcomer's test names is there", () => {
  const [, examples = ""] = /by folder names alone\. Five examples:\n\n([^]*?)\n\n/.exec(CONTRIBUTING) ?? [];
  const paths = [...examples.matchAll(/`(src\/[^`]+)`/g)].map(([, path = ""]) => path);
  assert.ok(paths.length >= 5);
  for (const path of paths) assert.ok(statSync(join(ROOT, path)), path);
});

test("the commands of the transcript are commands, and README leads to it and to each picture", async () => {
  const page = readFileSync(join(ROOT, "docs/one-minute.md"), "utf8");
  const lines = [...page.matchAll(/^\$ kubectl checkpoint (.*?) +# [\d.]+s$/gm)].map(([, line = ""]) => line);
  assert.equal(lines.length, 4);
  for (const line of lines) {
    const words = readWords(
      [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word),
      VERBS,
    );
    const verb = await words.verb.load?.();
    assert.ok(verb, line);
    assert.doesNotThrow(() => verb.request(words.words, valuesOf(verb.flags, parseFlags(words)), {}), line);
  }
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  assert.ok(readme.includes("(docs/one-minute.md)"));
  const docs = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  const text = [readme, ...docs.map((name) => readFileSync(join(ROOT, "docs", name), "utf8"))].join("\n");
  for (const name of readdirSync(join(ROOT, "docs/screens"))) assert.ok(text.includes(`screens/${name})`), name);
});

test("what a terminal shows is drawn escaped, with its colours", async () => {
  const svg = await drawn('\u001b[32mok\u001b[0m <a href="x">&\r\n\u001b[1mbold\u001b[0m', 40);
  assert.match(svg, /<tspan x="12.0" textLength="16.8" fill="#98c379">ok<\/tspan>/);
  assert.match(svg, /&lt;a href="x"&gt;&amp;<\/tspan>/);
  assert.match(svg, /font-weight="bold">bold</);
});
