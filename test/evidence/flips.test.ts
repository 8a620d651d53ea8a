// Runs on Linux and macOS only: keys and timestamps are made by openssl.
// Any byte that is changed in what lies in a directory of evidence is named. FULL=1 makes 1,000 changes.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { verb as seal } from "../../src/commands/seal.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { runVerb } from "../commands/running.ts";
import { archive, folder, keyPair, timestampAuthority } from "./files.ts";

const FLIPS = process.env["FULL"] === undefined ? 120 : 1000;
const SEED = 20_261_130;

/** The same numbers each time: mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(`${FLIPS} changed bytes in archive, record, signature and custody: each is named`, async (t) => {
  const directory = folder();
  const key = keyPair(folder(), "key", "ec");
  const authority = await timestampAuthority(t);
  const path = archive(directory, "a.tar");
  const custody = join(directory, "custody.jsonl");
  const flags = { "sign-key": key.secret, timestamp: authority.url, custody };
  assert.equal((await runVerb(seal, [path], { ...flags, note: "first" })).exitCode, 0);
  assert.equal((await runVerb(seal, [path], { ...flags, note: "second" })).exitCode, 0);
  const files = readdirSync(directory).filter((name) => !name.endsWith(".lock"));
  assert.deepEqual(files, ["a.tar", "a.tar.json", "a.tar.sigstore.json", "custody.jsonl"]);
  const look = async (): Promise<string[]> => {
    const { document } = await runVerb(verify, [path], { key: key.public, "timestamp-ca": authority.ca });
    return (document as { items: { problems: string[] }[] }).items.flatMap(({ problems }) => problems);
  };
  assert.deepEqual(await look(), []);
  const next = random(SEED);
  for (let flip = 0; flip < FLIPS; flip += 1) {
    const name = files[flip % files.length] ?? "";
    const before = readFileSync(join(directory, name));
    const after = Buffer.from(before);
    const at = Math.floor(next() * before.length);
    after[at] = (before[at] ?? 0) ^ (1 + Math.floor(next() * 255));
    writeFileSync(join(directory, name), after);
    const problems = (await look()).join("\n");
    // Of the archive itself, which was asked about, "it".
    const named = name === "a.tar" ? /(its SHA-256 is|it has \d+ bytes)/ : new RegExp(name.replaceAll(".", "\\."));
    assert.match(problems, named, `${name}: byte ${at}, ${before[at]} to ${after[at]}`);
    writeFileSync(join(directory, name), before);
  }
  assert.deepEqual(await look(), []);
});
