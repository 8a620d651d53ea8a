// Runs on Linux and macOS only: keys are made by openssl.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { verb as seal } from "../../src/commands/seal.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { readChain } from "../../src/evidence/custody.ts";
import { appendCustody } from "../../src/evidence/custody-file.ts";
import { runVerb } from "../commands/running.ts";
import { archive, folder, keyPair, sha256 } from "./files.ts";

const key = keyPair(folder(), "key");
const doer = { signal: new AbortController().signal, now: Date.now, version: "v0.0.0" };

async function problems(path: string, flags: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const { document } = await runVerb(verify, [path], flags);
  return (document as { items: { problems: string[] }[] }).items.flatMap((item) => item.problems);
}

/** A custody file with four lines about an archive, the third of which is signed. */
async function chain(): Promise<{ path: string; custody: string; lines: string[] }> {
  const directory = folder();
  const path = archive(directory);
  const custody = join(directory, "custody.jsonl");
  for (const action of ["checkpoint", "show"]) await appendCustody(custody, [{ action, path, sha256: sha256(path) }], doer);
  assert.equal((await runVerb(seal, [path], { "sign-key": key.secret, custody, note: "to the lab" })).exitCode, 0);
  await appendCustody(custody, [{ action: "report", path, sha256: sha256(path) }], doer);
  return { path, custody, lines: readFileSync(custody, "utf8").trimEnd().split("\n") };
}

test("every line says who did what with which bytes, and stands on the one before it", async () => {
  const { path, custody } = await chain();
  const { lines, problems: wrong } = readChain(readFileSync(custody, "utf8"));
  assert.deepEqual(wrong, []);
  assert.deepEqual(
    lines.map(({ action, object, note }) => [action, object, note]),
    [
      ["checkpoint", "checkpoint-web.tar", undefined],
      ["show", "checkpoint-web.tar", undefined],
      ["seal", "checkpoint-web.tar", "to the lab"],
      ["report", "checkpoint-web.tar", undefined],
    ],
  );
  assert.ok(lines.every(({ user, machine, sha256: hash }) => user !== "" && machine !== "" && hash === sha256(path)));
  assert.deepEqual([await problems(custody, { key: key.public }), await problems(path, { key: key.public })], [[], []]);
});

test("a line that is changed, taken away, repeated or moved is named", async () => {
  const { path, custody, lines } = await chain();
  const [first = "", second = "", third = "", fourth = ""] = lines;
  const cases: [string, string[], RegExp][] = [
    ["changed", [first, second.replace("show", "diff"), third, fourth], /line 2 was changed/],
    ["taken away", [first, third, fourth], /line 2 does not follow the line before it/],
    ["the first one taken away", [second, third, fourth], /line 1 is not the first one/],
    ["replayed", [first, second, third, fourth, second], /line 5 does not follow the line before it/],
    ["moved", [first, third, second, fourth], /line 2 does not follow/],
    ["what was signed cut off", [first, second], /line 3 is not the one that was signed/],
    ["made up", [first, second, third, "{}"], /line 4 is damaged or not a line of custody/],
  ];
  for (const [what, changed, problem] of cases) {
    writeFileSync(custody, `${changed.join("\n")}\n`);
    assert.match((await problems(custody, { key: key.public })).join("\n"), problem, what);
    assert.match((await problems(path, { key: key.public })).join("\n"), problem, what);
  }
  writeFileSync(custody, lines.join("\n"));
  assert.match((await problems(custody)).join(), /line 5 is incomplete|line 4 is incomplete/);
  rmSync(custody);
  assert.match((await problems(path)).join(), /custody\.jsonl, whose first 3 lines were signed, is missing/);
});

test("a whole chain that was written anew is no proof: the signed line is not in it", async () => {
  const { path, custody } = await chain();
  rmSync(custody);
  for (const action of ["checkpoint", "show", "seal", "report"])
    await appendCustody(custody, [{ action, path, sha256: sha256(path) }], doer);
  assert.match((await problems(custody, { key: key.public })).join(), /line 3 is not the one that was signed/);
  rmSync(`${path}.sigstore.json`);
  const { document } = await runVerb(verify, [custody]);
  const [item] = (document as { items: { checks: { check: string; status: string; message: string }[] }[] }).items;
  assert.deepEqual(item?.checks.at(-1), {
    check: "signature",
    status: "missing",
    message: "no signature beside it signs its lines: the chain proves their order only",
  });
});

test("lines count as signed only where the key of --key signed them; with --key a signature that is gone is a problem", async () => {
  const { path, custody } = await chain();
  const said = async (file: string, flags: Readonly<Record<string, string>>): Promise<string> =>
    JSON.stringify((await runVerb(verify, [file], flags)).document);
  for (const file of [path, custody]) {
    assert.match(await said(file, { key: key.public }), /signed up to line 3/);
    const unchecked = await said(file, {});
    assert.doesNotMatch(unchecked, /[^:]signed up to line 3/);
    assert.match(unchecked, /a signature that was not checked with a key of --key covers it up to line 3/);
  }
  assert.doesNotMatch(await said(path, { key: keyPair(folder(), "other").public }), /signed up to line 3/);
  rmSync(`${path}.sigstore.json`);
  assert.deepEqual(await problems(custody, { key: key.public }), [
    "no signature beside it signs its lines: the chain proves their order only",
  ]);
  assert.deepEqual(await problems(custody), []);
});

test("a custody file that had no line when its directory was sealed, and one with something else in an archive's place", async () => {
  const { path, custody, lines } = await chain();
  writeFileSync(custody, "");
  rmSync(`${path}.sigstore.json`);
  const directory = dirname(path);
  assert.equal((await runVerb(seal, [directory], { "sign-key": key.secret })).exitCode, 0);
  assert.deepEqual(await problems(directory), []);
  writeFileSync(custody, `${lines.join("\n")}\n`);
  assert.deepEqual(await problems(directory), []);
  rmSync(path);
  mkdirSync(path);
  assert.match((await problems(custody)).join(), /^checkpoint-web\.tar is not the file of the last line about it/);
});

test("a pipe in place of a custody file or of SHA256SUMS is named, and not waited for", async () => {
  const { path, custody } = await chain();
  const directory = dirname(path);
  assert.equal((await runVerb(seal, [directory], { "sign-key": key.secret })).exitCode, 0);
  for (const [file, problem] of [
    [join(directory, "SHA256SUMS"), /SHA256SUMS cannot be read: .* is not a plain file/],
    [custody, /it cannot be read: .* is not a plain file/],
  ] as const) {
    rmSync(file);
    await promisify(execFile)("mkfifo", [file]);
    assert.match((await problems(directory, { key: key.public })).join("\n"), problem);
  }
  assert.match((await problems(custody)).join(), /is not a plain file/);
});

test("archives that are not those of the chain", async () => {
  const { path, custody } = await chain();
  writeFileSync(path, "other");
  assert.match((await problems(custody)).join(), /^checkpoint-web\.tar is not the file of the last line about it \(report by /);
  rmSync(path);
  assert.match((await problems(custody)).join(), /^checkpoint-web\.tar is missing \(report by /);
});

test("no line is lost where many processes append at once, and a lock whose process was killed is taken away", async () => {
  const directory = folder();
  const custody = join(directory, "custody.jsonl");
  const program = join(directory, "append.ts");
  const from = join(import.meta.dirname, "../../src/evidence/custody-file.ts");
  writeFileSync(
    program,
    `import { appendCustody } from ${JSON.stringify(from)};
const doer = { signal: new AbortController().signal, now: Date.now, version: "v0.0.0" };
for (let n = 0; n < 10; n += 1) await appendCustody(process.argv[2], [{ action: process.argv[3] + n }], doer);`,
  );
  // Of a process that has ended.
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", "console.log(process.pid)"]);
  const { ownIdentity } = await import("../../src/local/process.ts");
  writeFileSync(`${custody}.lock`, JSON.stringify({ ...(await ownIdentity()), pid: Number(stdout) }));
  await Promise.all(["a", "b", "c", "d"].map(async (name) => await promisify(execFile)(process.execPath, [program, custody, name])));
  const { lines, problems: wrong } = readChain(readFileSync(custody, "utf8"));
  assert.deepEqual([wrong, lines.length, new Set(lines.map(({ action }) => action)).size], [[], 40, 40]);
});

test("a broken chain is not continued", async () => {
  const { custody, path, lines } = await chain();
  writeFileSync(custody, `${lines.slice(1).join("\n")}\n`);
  await assert.rejects(runVerb(seal, [path], { "sign-key": key.secret, custody }), { reason: "CustodyDamaged" });
  chmodSync(custody, 0o600);
});
