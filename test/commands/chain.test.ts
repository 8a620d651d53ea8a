// Runs on Linux and macOS only: it takes archives apart with tar.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as search } from "../../src/commands/search.ts";
import { runVerb } from "./running.ts";

// Two pre-dumps and a dump of the program in chain.c: its memory lies in all three.
const CHAIN = "test/data/dumps/chain.tar.zst";
const FIRST_PAGE = 0x7f13cd348000;
const PAGES = 64;

const folder = mkdtempSync(join(tmpdir(), "chain-"));
after(() => rmSync(folder, { recursive: true }));
execFileSync("tar", ["-C", folder, "-xf", "-"], { input: zstdDecompressSync(readFileSync(CHAIN)) });

/** A tar of directories of the chain, under other names. */
function packed(name: string, directories: Readonly<Record<string, string>>, parents: Readonly<Record<string, string>> = {}): string {
  const root = join(folder, `${name}.d`);
  mkdirSync(root);
  for (const [directory, from] of Object.entries(directories)) {
    cpSync(join(folder, from), join(root, directory), { recursive: true, filter: (path) => !path.endsWith("/parent") });
  }
  for (const [directory, target] of Object.entries(parents)) symlinkSync(target, join(root, directory, "parent"));
  writeFileSync(join(root, "config.dump"), "{}");
  const file = join(folder, `${name}.tar`);
  execFileSync("tar", ["-C", root, "-cf", file, "."]);
  return file;
}

/** As Podman's --pre-checkpoint and --with-previous write them, one archive each. */
const before = packed("before", { "pre-checkpoint": "pre2", older: "pre1" }, { "pre-checkpoint": "../older" });
const last = packed("last", { checkpoint: "img" }, { checkpoint: "../pre-checkpoint" });

const pageText = (index: number): string =>
  `age-${index >= 24 && index < 28 ? "three" : index >= 16 && index < 32 ? "two" : "one"} page ${index}`;

async function found(file: string, pattern: string, flags = {}) {
  const { document, exitCode } = await runVerb(search, [file, pattern], { in: ["memory"], output: "json", ...flags });
  const { items, complete, notSearched } = document as { items: { address: string }[]; complete: boolean; notSearched: unknown[] };
  return { pages: items.map(({ address }) => (Number(address) - FIRST_PAGE) / 4096), complete, exitCode, notSearched };
}

for (const [form, file, flags] of [
  ["one archive with three directories", CHAIN, {}],
  ["two archives", last, { previous: before }],
] as const) {
  test(`${form}: each page is the newest of the chain`, async () => {
    const to = join(mkdtempSync(join(folder, "to-")), "memory");
    const range = `0x${FIRST_PAGE.toString(16)}-0x${(FIRST_PAGE + PAGES * 4096).toString(16)}`;
    const { exitCode } = await runVerb(extract, [file], { pid: "1", range, to, ...flags });
    assert.equal(exitCode, 0);
    const bytes = readFileSync(to);
    const texts = Array.from({ length: PAGES }, (_, index) => bytes.toString("latin1", index * 4096, bytes.indexOf(0, index * 4096)));
    assert.deepEqual(
      texts,
      texts.map((_, index) => pageText(index)),
    );
    assert.deepEqual(await found(file, "age-three", flags), { pages: [24, 25, 26, 27], complete: true, exitCode: 0, notSearched: [] });
    // What was overwritten is no memory of the process any more.
    assert.deepEqual((await found(file, "age-one page 2", flags)).pages, [2]);
    assert.deepEqual((await found(file, "age-two page 24", flags)).pages, []);
  });
}

test("without the archive of the pre-checkpoint its pages are not searched, and a range with them is an error", async () => {
  const { pages, complete, exitCode, notSearched } = await found(last, "age-");
  assert.deepEqual([pages, complete, exitCode], [[24, 25, 26, 27], false, 2]);
  assert.match(JSON.stringify(notSearched), /earlier checkpoint/);
  const range = `0x${FIRST_PAGE.toString(16)}-0x${(FIRST_PAGE + 4096).toString(16)}`;
  await assert.rejects(runVerb(extract, [last], { pid: "1", range, to: join(folder, "none") }), { reason: "NotInArchive" });
  assert.ok(!readdirSync(folder).some((name) => name.startsWith("none")));
});

test("an archive of a pre-checkpoint alone has memory without a process tree", async () => {
  const { pages, complete } = await found(before, "age-");
  assert.deepEqual(
    pages,
    Array.from({ length: PAGES }, (_, index) => index),
  );
  // What it shared is not in pre-dumps, and nothing tells what it mapped.
  assert.equal(complete, false);
  const { document } = await runVerb(inspect, [before], { output: "json" });
  const { processes } = document as { processes: { pid: number }[] };
  assert.deepEqual(
    processes.map(({ pid }) => pid),
    [1],
  );
});

test("diff of a pre-checkpoint and the checkpoint after it: the process is one, its memory was not compared", async () => {
  const { document, exitCode } = await runVerb(diff, [before, last], { output: "json" });
  const { processes, problems } = document as { processes: { added: unknown[]; removed: unknown[] }; problems: string[] };
  assert.deepEqual([processes.added, processes.removed, exitCode], [[], [], 2]);
  assert.ok(
    problems.some((problem) => /^not compared of process 1: .*memory/.test(problem)),
    problems.join("\n"),
  );
});
