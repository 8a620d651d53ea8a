// The operations of the helper pod, run by this machine's own shell in directories of their own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { parseListing } from "../../src/helper/listing.ts";
import { nameWord, OPERATIONS } from "../../src/helper/operations.ts";
import { ARCHIVES, WORK } from "../../src/helper/paths.ts";
import { tar } from "../archive/tars.ts";
import { temporaryDirectory } from "../e2e/harness.ts";

async function pod(t: TestContext) {
  const root = await temporaryDirectory(t);
  const [archives, work, script] = ["archives", "work", "op"].map((name) => join(root, name)) as [string, string, string];
  for (const path of [archives, work]) mkdirSync(path);
  writeFileSync(script, OPERATIONS.replaceAll(ARCHIVES, archives).replaceAll(WORK, work));
  const ask = (...operation: string[]): string => execFileSync("sh", [script, ...operation], { encoding: "latin1" });
  return { archives, work, ask };
}

test("a list says of each file whether it ends as an archive does, whatever is beside it", async (t) => {
  const { archives, work, ask } = await pod(t);
  const whole = tar({ name: "config.dump", data: "{}" });
  const closedOf = (): Record<string, boolean> =>
    Object.fromEntries(parseListing(ask("list").replace(/end\n$/, "")).map(({ name, closed }) => [name, closed]));
  const names = Array.from({ length: 150 }, (_, index) => `a${index}.tar`);
  for (const name of names) writeFileSync(join(archives, name), whole);
  const expected: Record<string, boolean> = Object.fromEntries(names.map((name) => [name, true]));
  assert.deepEqual(closedOf(), expected);
  // The last byte of its end; an end without the block before it; a part of a block; nothing.
  const odd: Record<string, Buffer> = {
    "b.tar": Buffer.concat([whole.subarray(0, -1), Buffer.from("x")]),
    "c.tar": Buffer.concat([Buffer.alloc(1024, "x"), Buffer.alloc(512)]),
    "d.tar": whole.subarray(0, -100),
    "e.tar": Buffer.alloc(0),
  };
  for (const [name, bytes] of Object.entries(odd)) {
    writeFileSync(join(archives, name), bytes);
    expected[name] = false;
    assert.deepEqual(closedOf(), expected, name);
  }
  assert.deepEqual(readdirSync(work), [], "nothing is left behind");
});

test("a hash comes with the file as it is afterwards; of a large file the fastest program that is right hashes", async (t) => {
  const { archives, work, ask } = await pod(t);
  writeFileSync(join(archives, "a.tar"), "abc");
  const [facts] = ask("stat", nameWord(Buffer.from("a.tar"))).split("\n");
  const sum = createHash("sha256").update("abc").digest("hex");
  assert.match(ask("sum", "=a.tar"), new RegExp(`^${sum} .*\n${facts ?? ""}\nend\n$`));
  assert.deepEqual(readdirSync(work), [], "a small one is not worth a comparison");
  const bytes = 160 * 1024 * 1024;
  writeFileSync(join(archives, "b.tar"), "b");
  truncateSync(join(archives, "b.tar"), bytes);
  const hash = createHash("sha256").update("b");
  for (let at = 1; at < bytes; at += 1 << 20) hash.update(Buffer.alloc(Math.min(1 << 20, bytes - at)));
  assert.ok(ask("sum", "=b.tar").startsWith(hash.digest("hex")));
  assert.match(readFileSync(join(work, "hasher"), "utf8"), /^(sha256sum|openssl|busybox)\n$/);
});
