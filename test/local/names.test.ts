import assert from "node:assert/strict";
import { test } from "node:test";
import { localArchiveName, localName } from "../../src/local/names.ts";

test("a name is one name, without control characters", () => {
  assert.equal(localName("a\u001b[31m\n\u009bb:c?.tar", "linux"), "a-[31m--b:c?.tar");
  assert.equal(localName("../../etc/passwd", "linux"), "passwd");
  for (const name of ["", ".", "..", "a/..", "a/"]) assert.match(localName(name, "linux"), /^-{1,2}$/, name);
});

test("Windows refuses more", () => {
  assert.equal(localName('a<b>:"|?*\\c.txt', "win32"), "a-b-------c.txt");
  assert.deepEqual(
    ["con", "CON.txt", "lpt1.x", "console", "a.", "b "].map((name) => localName(name, "win32")),
    ["con-", "CON-.txt", "lpt1-.x", "console", "a-", "b-"],
  );
});

test("archives have no colons anywhere", () => {
  assert.equal(localArchiveName("checkpoint-a_b-c-2026-11-24T06:10:21Z.tar"), "checkpoint-a_b-c-2026-11-24T06-10-21Z.tar");
});
