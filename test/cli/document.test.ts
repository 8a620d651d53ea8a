import assert from "node:assert/strict";
import { test } from "node:test";
import { dump, load } from "js-yaml";
import { jsonPieces, yamlPieces } from "../../src/cli/document.ts";

const DOCUMENTS: readonly object[] = [
  {},
  { items: [] },
  { absent: undefined },
  { kind: "List", items: [{ a: 1, none: undefined, nested: { list: [1, [2, 3]], empty: {} } }], complete: true },
  { items: ["one", "two\nlines", "- three: 3", null, undefined, true, 4.5, []], more: [[1], [2]], last: { a: [{ b: "c" }] } },
  { "an odd: key": ["[\n", "a"], text: "several\nlines\n", "3": "3" },
];

async function yaml(document: object): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of yamlPieces(document)) pieces.push(piece);
  return pieces;
}

test("in pieces, JSON and YAML are what they are in one", async () => {
  for (const document of DOCUMENTS) {
    const json = JSON.stringify(document, undefined, 2);
    assert.equal([...jsonPieces(document)].join(""), `${json}\n`);
    assert.equal((await yaml(document)).join(""), dump(JSON.parse(json), { lineWidth: -1, noRefs: true }));
  }
});

test("what is nested very deep is not mostly spaces", async () => {
  const deep = (levels: number): object => ({ pid: levels, list: [1, undefined, {}], children: levels === 0 ? [] : [deep(levels - 1)] });
  const document = { items: [deep(300)] };
  const json = [...jsonPieces(document)].join("");
  assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(document)));
  assert.ok(json.length < 30_000, `${json.length} characters`);
  assert.match(json, /^ {80}\{"pid":\d+,"list":\[1,null,\{\}\],"children":\[\{/m);
  const text = (await yaml(document)).join("");
  assert.deepEqual(load(text, { maxDepth: 2000 }), JSON.parse(json));
  assert.ok(text.length < 40_000, `${text.length} characters`);
});

test("an item of a list is a piece", async () => {
  const document = { items: Array.from({ length: 100 }, (_, index) => ({ index })) };
  assert.equal([...jsonPieces(document)].length, 101);
  assert.equal((await yaml(document)).length, 100);
});

// oxlint-disable-next-line no-control-regex -- they are what must not be there
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

test("neither holds what a terminal obeys, and both parse to the same", async () => {
  const names = [
    "cou\u202enter",
    "it's \\u202e \u202e",
    "a\u200fb: c",
    "one\n\u2067two\n",
    "\u001b[31m\u009b\u0085",
    "tab\there\n",
    "C:\\x\u061c",
  ];
  const document = { items: names, "a\u202ekey": { "\u2066": "plain" }, "list\u202e": ["a", "b\u202e"] };
  const text = (await yaml(document)).join("");
  assert.doesNotMatch(text, CONTROL);
  assert.deepEqual(load(text), document);
  assert.match(text, /^ {2}- "cou\\u202enter"$/m);
  const json = [...jsonPieces(document)].join("");
  assert.doesNotMatch(json, CONTROL);
  assert.deepEqual(JSON.parse(json), document);
});
