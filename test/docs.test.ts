// CONTRIBUTING's map of the sources is that of the sources.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

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
