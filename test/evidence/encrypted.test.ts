// Runs on Linux and macOS only: keys are made by openssl.
// FILE.age is read by every verb that reads archives, and verified with and without its identity.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { gunzipSync, zstdCompressSync } from "node:zlib";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { newHeader } from "../../src/age/header.ts";
import { encrypted } from "../../src/age/payload.ts";
import { openArchive } from "../../src/archive/open.ts";
import { unlocking } from "../../src/age/unlock.ts";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as image } from "../../src/commands/image.ts";
import { verb as report } from "../../src/commands/report.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as search } from "../../src/commands/search.ts";
import { verb as seal } from "../../src/commands/seal.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { readChain } from "../../src/evidence/custody.ts";
import { runVerb } from "../commands/running.ts";
import { context } from "../fakes.ts";
import { archive, folder, keyPair, sha256 } from "./files.ts";

const ZOO = gunzipSync(readFileSync(join(import.meta.dirname, "../data/archives/containerd-zoo.tar.gz")));
/** Too large to be expanded in memory. */
const LARGE = readFileSync(join(import.meta.dirname, "../data/archives/containerd-2.1.9-criu4.2.1-k8s-redis.tar"));
const directory = folder();
const identity = join(directory, "identity");
const secret = await generateX25519Identity();
writeFileSync(identity, `${secret}\n`);
const recipient = await identityToRecipient(secret);

async function encryptedFile(path: string, plain: Buffer): Promise<string> {
  async function* once(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(plain);
  }
  const pieces: Buffer[] = [];
  for await (const piece of encrypted(await newHeader([recipient]), once())) pieces.push(piece);
  writeFileSync(path, Buffer.concat(pieces));
  return path;
}

test("every verb says of FILE.age what it says of FILE", async () => {
  const plain = join(directory, "zoo.tar");
  writeFileSync(plain, ZOO);
  const sealed = await encryptedFile(join(directory, "zoo.tar.age"), ZOO);
  const same = async (path: string, flags: Record<string, string>): Promise<unknown[]> => {
    const all = [
      await runVerb(show, [path], flags),
      await runVerb(inspect, [path], { ...flags, all: true }),
      await runVerb(search, [path, "localhost"], flags),
      await runVerb(diff, [path, path], flags),
    ];
    return all.map(({ lines, document, exitCode }) =>
      [lines, document, exitCode].map((one) => JSON.stringify(one).replaceAll(`${plain}.age`, plain)),
    );
  };
  const [given, read] = [await same(plain, {}), await same(sealed, { identity })];
  assert.ok(JSON.stringify(given).length > 5000);
  assert.deepEqual(read, given);
  const to = join(folder(), "core");
  assert.equal((await runVerb(extract, [sealed, "config.dump"], { identity, to })).exitCode, 0);
  assert.deepEqual((await runVerb(verify, [sealed], { identity })).lines, [`${sealed}: OK`]);
});

test("compressed archives and standard input inside age: what goes to a temporary file is not readable in it", async (t) => {
  const sealed = await encryptedFile(join(directory, "zoo.tar.zst.age"), zstdCompressSync(LARGE));
  const { ask } = context(t.signal);
  const read = async (file: string, stdin?: PassThrough): Promise<void> => {
    await using opened = await openArchive(file, {
      unlock: unlocking(identity, ask),
      ...(stdin === undefined ? {} : { stdin: () => stdin }),
    });
    assert.ok(opened.members.size > 20);
    for (const { name, type, size } of opened.members.values())
      if (type === "file") assert.equal((await opened.open(name).read(0, size)).length, size);
    if (process.platform !== "linux") return;
    // The files of this process that have no name any more.
    const held = readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        const stats = statSync(`/proc/self/fd/${fd}`);
        return stats.isFile() && stats.nlink === 0 && stats.size > 1 << 20 ? [readFileSync(`/proc/self/fd/${fd}`)] : [];
      } catch {
        return [];
      }
    });
    assert.ok(held.length > 0, "the temporary file is seen");
    for (const bytes of held) assert.equal(bytes.includes("inventory.img"), false);
  };
  await read(sealed);
  const input = new PassThrough();
  input.end(readFileSync(sealed));
  await read("-", input);
});

test("verify without the identity: record and signature, and that the inside was not checked", async () => {
  const key = keyPair(directory, "key");
  const own = folder();
  const path = archive(own, "a.tar");
  const bytes = readFileSync(path);
  const sealed = await encryptedFile(join(own, "b.tar.age"), bytes);
  const copy = {
    path: sealed,
    record: join(own, "b.tar.json"),
    bytes: bytes.length,
    sha256: sha256(path),
    encrypted: { bytes: readFileSync(sealed).length, sha256: sha256(sealed) },
  };
  writeFileSync(join(own, "b.tar.json"), JSON.stringify({ items: [{ copy }] }));
  assert.equal((await runVerb(seal, [sealed], { "sign-key": key.secret })).exitCode, 0);
  assert.deepEqual(
    readdirSync(own)
      .filter((name) => name.startsWith("b."))
      .toSorted(),
    ["b.tar.age", "b.tar.json", "b.tar.sigstore.json"],
  );
  const { lines, exitCode } = await runVerb(verify, [sealed], { key: key.public });
  assert.equal(exitCode, 0);
  assert.match(
    lines.join("\n"),
    /: OK, matches its record\n {2}archive missing: .* is encrypted: what is inside was not checked\n {2}signature ok: /,
  );
  // An identity that does not fit says nothing against the archive; but the inside was to be checked.
  const stranger = join(folder(), "stranger.id");
  writeFileSync(stranger, `${await generateX25519Identity()}\n`);
  const unfit = await runVerb(verify, [sealed], { key: key.public, identity: stranger });
  const [item] = (unfit.document as { items: { problems: string[]; checks: { check: string; status: string }[] }[] }).items;
  assert.deepEqual(
    item?.checks.filter(({ status }) => status === "wrong"),
    [],
  );
  assert.match(item?.problems.join("\n") ?? "", /is not encrypted to an identity of .*: what is inside was not checked$/);
  assert.equal(unfit.exitCode, 1);
  // Decrypted, it is what was signed, too.
  writeFileSync(join(own, "b.tar"), bytes);
  assert.match(
    (await runVerb(verify, [join(own, "b.tar")], { key: key.public })).lines.join("\n"),
    /OK, matches its record\n {2}signature ok/,
  );
  const flipped = readFileSync(sealed);
  flipped[flipped.length - 40] = (flipped.at(-40) ?? 0) ^ 1;
  writeFileSync(sealed, flipped);
  const wrong = await runVerb(verify, [sealed], { key: key.public, identity });
  assert.equal(wrong.exitCode, 1);
  assert.match(wrong.lines.join("\n"), /is cut short, or its end was changed/);
  assert.match(wrong.lines.join("\n"), /its SHA-256 is/);
});

test("image of FILE.age: its layer is the archive, which is confirmed; with the pod of FILE.json.age", async () => {
  const own = folder();
  const plain = archive(own, "web.tar");
  const bytes = readFileSync(plain);
  const path = await encryptedFile(join(own, "other.tar.age"), bytes);
  const copy = { path, bytes: bytes.length, sha256: sha256(plain), encrypted: { bytes: statSync(path).size, sha256: sha256(path) } };
  writeFileSync(join(own, "other.tar.json"), JSON.stringify({ items: [{ copy }] }));
  const pod = { metadata: { name: "web", namespace: "shop" }, spec: { containers: [{ name: "counter", image: "x" }] } };
  await encryptedFile(join(own, "other.tar.json.age"), Buffer.from(JSON.stringify({ items: [{ copy }], record: { pod } })));
  const to = join(own, "layout");
  const words = [path, "reg.local/a:1"];
  await assert.rejects(runVerb(image, words, { to: `oci:${to}` }), { reason: "IdentityNeeded" });
  await assert.rejects(runVerb(image, words, { to: `oci:${to}`, identity }), {
    reason: "ConsentNeeded",
    message: `this would write an encrypted checkpoint to ${to} unencrypted`,
  });
  assert.equal(readdirSync(own).includes("layout"), false);
  assert.equal((await runVerb(image, words, { to: `oci:${to}`, identity, yes: true })).exitCode, 0);
  const blobs = readdirSync(join(to, "blobs/sha256"));
  assert.ok(blobs.includes(sha256(plain)), "the layer is the archive");
  const manifests = blobs.map((name) => readFileSync(join(to, "blobs/sha256", name))).filter((blob) => blob.length < 65_536);
  assert.ok(
    manifests.some((blob) => blob.includes("shop")),
    "the pod is in the annotations",
  );
});

test("--custody on verbs that read: a line each, what cannot be written does not fail them, other bytes are named", async () => {
  const own = folder();
  const path = archive(own, "web.tar");
  const custody = join(own, "custody.jsonl");
  const key = keyPair(folder(), "key");
  for (const [verb, words] of [
    [show, [path]],
    [inspect, [path]],
    [search, [path, "a"]],
    [diff, [path, path]],
    [extract, [path, "config.dump"]],
    [verify, [path]],
    [report, [path]],
  ] as const) {
    const flags: Record<string, string> = { custody, ...(verb === extract ? { to: join(folder(), "out") } : {}) };
    const { exitCode } = await runVerb(verb as typeof show, words, flags);
    assert.equal(exitCode, 0, verb.name);
  }
  assert.equal((await runVerb(image, [path, "reg.local/a:1"], { to: `oci:${join(folder(), "layout")}`, custody })).exitCode, 0);
  const lines = readChain(readFileSync(custody, "utf8"));
  assert.deepEqual(lines.problems, []);
  assert.deepEqual(
    lines.lines.map(({ action, object }) => `${action} ${object}`),
    ["show", "inspect", "search", "diff", "diff", "extract", "verify", "report", "image"].map((action) => `${action} web.tar`),
  );
  assert.equal((await runVerb(seal, [path], { "sign-key": key.secret, custody })).exitCode, 0);
  assert.deepEqual((await runVerb(verify, [own], { key: key.public })).errors, []);
  // Whoever only reads it meets other bytes: the line does not make them those of the archive.
  const bytes = readFileSync(path);
  bytes[bytes.length - 2000] = (bytes.at(-2000) ?? 0) ^ 1;
  writeFileSync(path, bytes);
  await runVerb(show, [path], { custody });
  const found = await runVerb(verify, [custody]);
  assert.match(found.lines.join("\n"), /web\.tar was changed between two lines: seal by .*, and show by /);
  // A custody file that cannot be written, and one that is damaged.
  for (const bad of [join(own, "none", "custody.jsonl"), path]) {
    const { events, lines: shown } = await runVerb(show, [path], { custody: bad });
    assert.ok(shown.length > 1);
    assert.match(JSON.stringify(events), /this is not in the custody file: /);
  }
});
