import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalName, nameBytes, namesMeant, nameText } from "../../src/model/name.ts";

test("names of any bytes: what can be seen stays, all else is escaped", () => {
  for (const [raw, text] of [
    ["/etc/passwd", "/etc/passwd"],
    ["grüße 日本 😀", "grüße 日本 😀"],
    ["a\\b", String.raw`a\\b`],
    ["dev-disk-by\\x2duuid.swap", String.raw`dev-disk-by\\x2duuid.swap`],
    ["tab\tline\nescape\u001b", String.raw`tab\x09line\x0aescape\x1b`],
    ["\u202egnp.exe", String.raw`\xe2\x80\xaegnp.exe`],
    ["zero\u200bwidth\ufeff", String.raw`zero\xe2\x80\x8bwidth\xef\xbb\xbf`],
    ["\ufffd", "\ufffd"],
    [Buffer.from([0x65, 0xff, 0x2e]), String.raw`e\xff.`],
    [Buffer.from([0xc3, 0xbc, 0xc3]), String.raw`ü\xc3`],
    [Buffer.from([0xed, 0xa0, 0x80]), String.raw`\xed\xa0\x80`],
    [Buffer.from([0xf0, 0x9f, 0x98, 0x80, 0x80]), String.raw`😀\x80`],
  ] as const) {
    assert.equal(nameText(Buffer.from(raw)), text);
    assert.deepEqual(nameBytes(text), Buffer.from(raw));
    assert.equal(canonicalName(text), text);
  }
});

test("any bytes come back from their text", () => {
  const pieces = [0x5c, 0x78, 0x66, 0x46, 0x30, 0x2f, 0xff, 0xc3, 0xbc, 0xe2, 0x80, 0xae, 0x0a, 0x61];
  let state = 1;
  for (let round = 0; round < 5000; round += 1) {
    const raw = Buffer.from(
      Array.from({ length: round % 12 }, () => {
        state = (state * 48271) % 0x7fffffff;
        return pieces[state % pieces.length] ?? 0;
      }),
    );
    assert.deepEqual(nameBytes(nameText(raw)), raw);
  }
});

test("a name that was typed is found: single backslashes, control characters, capital digits", () => {
  assert.equal(canonicalName(String.raw`C:\temp`), String.raw`C:\\temp`);
  assert.equal(canonicalName("bell\u0007"), String.raw`bell\x07`);
  assert.equal(canonicalName(String.raw`/tmp/evil\xFF.sh`), String.raw`/tmp/evil\xff.sh`);
  assert.equal(canonicalName(String.raw`\x41`), "A");
  assert.deepEqual(namesMeant("/etc/passwd"), ["/etc/passwd"]);
  assert.deepEqual(namesMeant(String.raw`by\x2duuid`), ["by-uuid", String.raw`by\\x2duuid`]);
});
