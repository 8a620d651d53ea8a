// Runs on Linux and macOS only: keys and timestamps are made by openssl.
// What is signed here is checked by cosign and by verify; what cosign signs, by verify. openssl is the timestamp authority.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { openEvidence } from "../../src/flows/evidence/open.ts";
import { sealFile } from "../../src/flows/evidence/seal.ts";
import { verb as report } from "../../src/commands/report.ts";
import { verb as seal } from "../../src/commands/seal.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { runVerb } from "../commands/running.ts";
import { context } from "../fakes.ts";
import { tool } from "../tools/tool.ts";
import { archive, folder, keyPair, timestampAuthority, type KeyPair } from "./files.ts";

const TYPE = "https://github.com/kubectl-checkpoint/kubectl-checkpoint/checkpoint-record/v1";
const keys = folder();
const ed25519 = keyPair(keys, "ed25519");
const ec = keyPair(keys, "ec", "ec");
const cosign = tool("cosign");

interface Checked {
  readonly exitCode: number;
  readonly problems: readonly string[];
  /** What came of each check, by its name. */
  readonly status: Readonly<Record<string, string>>;
  readonly said: Readonly<Record<string, string>>;
}

async function checked(path: string, flags: Readonly<Record<string, string>> = {}): Promise<Checked> {
  const { document, exitCode } = await runVerb(verify, [path], flags);
  const items = (document as { items: { problems: string[]; checks: { check: string; status: string; message: string }[] }[] }).items;
  const checks = items.flatMap((item) => item.checks);
  return {
    exitCode,
    problems: items.flatMap(({ problems }) => problems),
    status: Object.fromEntries(checks.map(({ check, status }) => [check, status])),
    said: Object.fromEntries(checks.map(({ check, message }) => [check, message])),
  };
}

async function sealed(key: KeyPair, flags: Readonly<Record<string, string>> = {}): Promise<string> {
  const path = archive(folder());
  const { exitCode, lines } = await runVerb(seal, [path], { "sign-key": key.secret, ...flags });
  assert.deepEqual([exitCode, lines], [0, [`${path} sealed`, `${path}.sigstore.json`]]);
  return path;
}

for (const [name, key] of [
  ["Ed25519", ed25519],
  ["ECDSA P-256", ec],
] as const) {
  test(`an archive signed with ${name}: verify and cosign say whose it is`, { skip: cosign.missing }, async () => {
    const path = await sealed(key);
    const found = await checked(path, { key: key.public });
    assert.deepEqual([found.exitCode, found.problems], [0, []]);
    assert.deepEqual([found.status["signature"], found.status["time"], found.status["custody"]], ["ok", "missing", "missing"]);
    assert.match(found.said["signature"] ?? "", /^signed with the key SHA256:[0-9a-f]{64}$/);
    const other = key === ec ? ed25519 : ec;
    assert.deepEqual(cosignSays(path, key.public), { status: 0, ok: true });
    assert.equal(cosignSays(path, other.public).ok, false);
    const wrong = await checked(path, { key: other.public });
    assert.deepEqual([wrong.exitCode, wrong.problems], [1, [`its signature ${path}.sigstore.json was changed, or is of another key`]]);
  });
}

function cosignSays(path: string, key: string): { readonly status: number | null; readonly ok: boolean } {
  const words = [
    "verify-blob-attestation",
    "--key",
    key,
    "--bundle",
    `${path}.sigstore.json`,
    "--insecure-ignore-tlog",
    "--type",
    TYPE,
    path,
  ];
  const { status, stderr } = spawnSync(cosign.path ?? "", words, { encoding: "utf8" });
  return { status, ok: /Verified OK/.test(stderr) };
}

test("what cosign signs with the same key is verified here", { skip: cosign.missing }, async () => {
  const path = archive(folder());
  const predicate = `${path}.predicate`;
  writeFileSync(predicate, JSON.stringify({ by: "cosign" }));
  const env = { ...process.env, COSIGN_PASSWORD: "" };
  const own = join(folder(), "own");
  execFileSync(cosign.path ?? "", ["import-key-pair", "--key", ec.secret, "--output-key-prefix", own, "--yes"], { env, stdio: "pipe" });
  const config = join(folder(), "signing.json");
  execFileSync(cosign.path ?? "", ["signing-config", "create", "--out", config], { env, stdio: "pipe" });
  const words = ["attest-blob", "--key", `${own}.key`, "--predicate", predicate, "--type", TYPE, "--bundle", `${path}.sigstore.json`];
  execFileSync(cosign.path ?? "", [...words, "--signing-config", config, "--yes", path], { env, stdio: "pipe" });
  const found = await checked(path, { key: ec.public });
  assert.deepEqual(found.problems, []);
  assert.match(found.said["signature"] ?? "", /, without its record checkpoint-web\.tar\.json$/);
  appendFileSync(path, "x");
  assert.match((await checked(path, { key: ec.public })).problems.join("\n"), /; [0-9a-f]{64} was signed$/m);
});

test("a signature that is there is said, and a key that is not given too; one that must be there and is not is a problem", async () => {
  const path = await sealed(ed25519);
  const found = await checked(path);
  assert.deepEqual([found.exitCode, found.status["signature"]], [0, "missing"]);
  assert.match(
    found.said["signature"] ?? "",
    /^it is signed with the key SHA256:[0-9a-f]{64}: give its public key as --key to check that$/,
  );
  rmSync(`${path}.sigstore.json`);
  const without = await checked(path, { key: ed25519.public });
  assert.deepEqual([without.exitCode, without.problems], [1, ["no signature lies beside it"]]);
});

test("a file that was signed with the archive and is changed or gone is named", async () => {
  const path = await sealed(ed25519);
  const record = readFileSync(`${path}.json`, "utf8");
  writeFileSync(`${path}.json`, record.replace("node1", "node2"));
  assert.deepEqual((await checked(path, { key: ed25519.public })).problems, [`${path}.json was changed since it was signed`]);
  rmSync(`${path}.json`);
  assert.deepEqual((await checked(path, { key: ed25519.public })).problems, [
    `${basename(path)}.json, which was signed with it, is missing`,
  ]);
});

test("two archives of one key that are swapped", async () => {
  const directory = folder();
  const a = archive(directory, "a.tar");
  const b = archive(directory, "b.tar", join(import.meta.dirname, "../data/archives/containerd-a.tar"));
  await runVerb(seal, [a, b], { "sign-key": ed25519.secret });
  renameSync(a, `${a}.x`);
  renameSync(b, a);
  renameSync(`${a}.x`, b);
  for (const [path, name] of [
    [a, "a.tar"],
    [b, "b.tar"],
  ] as const) {
    const { problems, exitCode } = await checked(path, { key: ed25519.public });
    assert.equal(exitCode, 1);
    assert.match(problems.join("\n"), /; its record says/);
    assert.match(problems.join("\n"), /; [0-9a-f]{64} was signed$/m, name);
  }
});

test("through a link, and renamed with what lies beside it", async () => {
  const path = await sealed(ed25519);
  const link = join(folder(), "link.tar");
  symlinkSync(path, link);
  assert.equal((await checked(link, { key: ed25519.public })).status["signature"], "ok");
  const renamed = join(folder(), "evidence-1.tar");
  for (const end of ["", ".json", ".sigstore.json"]) renameSync(`${path}${end}`, `${renamed}${end}`);
  const found = await checked(renamed, { key: ed25519.public });
  assert.deepEqual([found.problems, found.status["signature"], found.status["record"]], [[], "ok", "ok"]);
});

test("the record beside a renamed archive is the one that counts: another one is named, also where the signed one is there", async () => {
  const path = await sealed(ed25519);
  const renamed = join(dirname(path), "evidence-1.tar");
  for (const end of ["", ".sigstore.json"]) renameSync(`${path}${end}`, `${renamed}${end}`);
  assert.deepEqual((await checked(renamed, { key: ed25519.public })).problems, []);
  writeFileSync(`${renamed}.json`, readFileSync(`${path}.json`, "utf8").replace("node1", "node2"));
  const forged = await checked(renamed, { key: ed25519.public });
  assert.deepEqual([forged.problems, forged.status["signature"]], [[`${renamed}.json was changed since it was signed`], "wrong"]);
  renameSync(`${path}.json`, `${renamed}.json`);
  const found = await checked(renamed, { key: ed25519.public });
  assert.match(found.said["signature"] ?? "", /^signed with the key SHA256:[0-9a-f]{64}$/);
});

test("an archive that does not match its record is not signed", async () => {
  const path = archive(folder());
  appendFileSync(path, "x");
  const { exitCode, errors } = await runVerb(seal, [path], { "sign-key": ed25519.secret });
  assert.deepEqual([exitCode, errors[0]?.reason], [1, "RecordMismatch"]);
  assert.equal(existsSync(`${path}.sigstore.json`), false);
});

test("a signature of somebody else is not replaced unless that is confirmed; one's own is", async () => {
  const path = await sealed(ed25519);
  const before = readFileSync(`${path}.sigstore.json`, "utf8");
  const { errors } = await runVerb(seal, [path], { "sign-key": ec.secret });
  assert.equal(errors[0]?.reason, "AlreadyExists");
  assert.equal(readFileSync(`${path}.sigstore.json`, "utf8"), before);
  assert.equal((await runVerb(seal, [path], { "sign-key": ed25519.secret, note: "again" })).exitCode, 0);
  assert.equal((await runVerb(seal, [path], { "sign-key": ec.secret, yes: true })).exitCode, 0);
  assert.equal((await checked(path, { key: ec.public })).status["signature"], "ok");
});

test("an encrypted key asks for its passphrase, three times; without a terminal that is an error", async () => {
  const locked = keyPair(keys, "locked", "ec", "secret word");
  const path = archive(folder());
  const asked: string[] = [];
  const with_ = (answers: string[]): ReturnType<typeof context> => {
    const plain = context(new AbortController().signal);
    const secret = async (): Promise<string> => {
      asked.push("once");
      return await Promise.resolve(answers.shift() ?? "");
    };
    return { ...plain, ask: { ...plain.ask, possible: true, secret } };
  };
  const options = { signKey: locked.secret, timestamp: undefined, custody: undefined, replace: false };
  const call = with_(["wrong", "secret word"]);
  const { seal: opened } = await openEvidence(call, options);
  assert.ok(opened !== undefined);
  await sealFile(call, path, opened);
  assert.equal(asked.length, 2);
  assert.equal((await checked(path, { key: locked.public })).status["signature"], "ok");
  await assert.rejects(openEvidence(with_(["a", "b", "c"]), options), { reason: "KeyUnusable", why: /passphrase is wrong/ });
  await assert.rejects(runVerb(seal, [path], { "sign-key": locked.secret }), { reason: "PassphraseNeeded", exitCode: 2 });
});

test("exec:PROGRAM signs: bytes on standard input, the signature on standard output", async () => {
  const program = join(keys, "sign");
  const write = (text: string): void => writeFileSync(program, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  write(`exec openssl dgst -sha256 -sign ${ec.secret}`);
  const path = archive(folder());
  assert.equal((await runVerb(seal, [path], { "sign-key": `exec:${program}` })).exitCode, 0);
  assert.equal((await checked(path, { key: ec.public })).status["signature"], "ok");
  const failure = async (text: string): Promise<string | undefined> => {
    write(text);
    const { errors } = await runVerb(seal, [archive(folder())], { "sign-key": `exec:${program}` });
    return `${errors[0]?.reason}: ${errors[0]?.why}`;
  };
  assert.equal(await failure("echo no token >&2; exit 4"), "SigningFailed: exit status 4: no token");
  assert.equal(await failure("exit 0"), "SigningFailed: it wrote no signature to standard output");
  const { errors } = await runVerb(seal, [archive(folder())], { "sign-key": "exec:/nowhere" });
  assert.equal(errors[0]?.reason, "SigningFailed");
});

test("keys that cannot be used", async () => {
  const path = archive(folder());
  const p384 = keyPair(keys, "p384", "p384");
  await assert.rejects(runVerb(seal, [path], { "sign-key": p384.secret }), {
    reason: "KeyUnusable",
    why: "it is a key for ec (secp384r1)",
  });
  await assert.rejects(runVerb(seal, [path], { "sign-key": path }), { reason: "KeyUnusable" });
  await assert.rejects(runVerb(seal, [path], { "sign-key": "/nowhere" }), {
    reason: "KeyUnusable",
    message: "key file /nowhere not found",
  });
  await assert.rejects(runVerb(verify, [path], { key: `${path}.json` }), { reason: "KeyUnusable" });
  await assert.rejects(runVerb(seal, [path], {}), { reason: "Usage", message: "--sign-key is required" });
});

for (const key of ["ec", "rsa"] as const) {
  test(`the signed time of openssl's authority (${key})`, async (t) => {
    const authority = await timestampAuthority(t, { key, digest: key === "rsa" ? "sha512" : "sha256" });
    const before = Date.now() - 1000;
    const path = await sealed(ed25519, { timestamp: authority.url });
    const found = await checked(path, { key: ed25519.public, "timestamp-ca": authority.ca });
    assert.deepEqual([found.problems, found.status["time"]], [[], "ok"]);
    const [, time = ""] = /^signed at (\S+) by Test authority$/.exec(found.said["time"] ?? "") ?? [];
    assert.ok(Date.parse(time) >= Math.floor(before / 1000) * 1000 && Date.parse(time) <= Date.now(), time);
    const unchecked = await checked(path, { key: ed25519.public });
    assert.deepEqual([unchecked.exitCode, unchecked.status["time"]], [0, "missing"]);
    assert.match(unchecked.said["time"] ?? "", /give the authority's certificate as --timestamp-ca/);
    const stranger = await timestampAuthority(t);
    const wrong = await checked(path, { key: ed25519.public, "timestamp-ca": stranger.ca });
    assert.deepEqual(wrong.problems, [
      "its timestamp is not to be trusted: the certificate of Test authority was not issued by an authority of --timestamp-ca",
    ]);
    if (!cosign.missing) byCosign(path, authority.ca);
  });
}

function byCosign(path: string, ca: string): void {
  const chain = join(folder(), "chain.pem");
  const certificates = ["authority", "intermediate", "root"].map((name) => readFileSync(ca.replace("root", name), "utf8"));
  writeFileSync(chain, certificates.join(""));
  const trusted = join(folder(), "trusted.json");
  const none = ["--no-default-ctfe", "--no-default-fulcio", "--no-default-rekor", "--no-default-tsa"];
  execFileSync(
    cosign.path ?? "",
    ["trusted-root", "create", ...none, "--tsa", `url=http://tsa.example,certificate-chain=${chain}`, "--out", trusted],
    { stdio: "pipe" },
  );
  const words = [
    "verify-blob-attestation",
    "--key",
    ed25519.public,
    "--bundle",
    `${path}.sigstore.json`,
    "--insecure-ignore-tlog",
    "--type",
    TYPE,
  ];
  const { status, stderr } = spawnSync(cosign.path ?? "", [...words, "--use-signed-timestamps", "--trusted-root", trusted, path], {
    encoding: "utf8",
  });
  assert.deepEqual([status, stderr.trim().split("\n").at(-1)], [0, "Verified OK"]);
}

test("a signed time that must be there and is not", async (t) => {
  const authority = await timestampAuthority(t);
  assert.deepEqual((await checked(await sealed(ed25519), { "timestamp-ca": authority.ca })).problems, [
    "its signature has no timestamp: the times in its record are by this plugin's clock",
  ]);
});

test("an authority that does not answer as one", async (t) => {
  const failure = async (answer: { status?: number; type?: string; body: Buffer }): Promise<string> => {
    const { url } = await timestampAuthority(t, { answer: () => answer });
    const { errors } = await runVerb(seal, [archive(folder())], { "sign-key": ed25519.secret, timestamp: url });
    assert.equal(errors[0]?.reason, "TimestampFailed");
    return errors[0]?.why ?? "";
  };
  assert.equal(await failure({ status: 503, body: Buffer.alloc(0) }), "it answered with HTTP status 503");
  assert.equal(
    await failure({ type: "text/html", body: Buffer.from("hi") }),
    "it answered with text/html, not application/timestamp-reply",
  );
  // PKIStatusInfo of a rejection.
  assert.equal(await failure({ body: Buffer.from("30053003020102", "hex") }), "the authority refused: status 2");
  assert.notEqual(await failure({ body: Buffer.from("nonsense") }), "");
  await assert.rejects(runVerb(seal, [archive(folder())], { timestamp: "http://127.0.0.1:1" }), { reason: "Usage" });
  const { errors } = await runVerb(seal, [archive(folder())], { "sign-key": ed25519.secret, timestamp: "http://127.0.0.1:1/" });
  assert.equal(errors[0]?.reason, "TimestampFailed");
});

test(
  "what lies beside an archive and is a pipe or a device is not waited for",
  { skip: process.platform === "win32" && "no pipes" },
  async () => {
    const directory = folder();
    const path = archive(directory, "a.tar");
    for (const name of ["a.tar.json", "a.tar.sigstore.json", "custody.jsonl", "SHA256SUMS"]) {
      const beside = join(directory, name);
      for (const make of [
        ["mkfifo", beside],
        ["ln", "-s", "/dev/zero", beside],
      ] as const) {
        rmSync(beside, { force: true });
        execFileSync(make[0], make.slice(1));
        const words = name === "SHA256SUMS" ? directory : path;
        const { problems } = await checked(words, { key: ed25519.public });
        assert.ok(problems.join().includes("is not a plain file"), `${make.join(" ")}: ${problems.join()}`);
        await runVerb(show, [path]);
        await runVerb(report, [path]);
      }
      rmSync(beside);
    }
  },
);

test("a directory of evidence: SHA256SUMS as sha256sum reads it, signed; what is changed, gone or new is named", async () => {
  const directory = folder();
  archive(directory, "a.tar");
  mkdirSync(join(directory, "notes"));
  writeFileSync(join(directory, "notes", "odd\\name\nof two lines"), "x");
  writeFileSync(join(directory, "notes", "plain.txt"), "y");
  const custody = join(directory, "custody.jsonl");
  const flags = { "sign-key": ed25519.secret, custody, note: "handed over" };
  assert.equal((await runVerb(seal, [directory], flags)).exitCode, 0);
  assert.match(execFileSync("sha256sum", ["-c", "SHA256SUMS"], { cwd: directory, encoding: "utf8" }), /a\.tar: OK/);
  // The archive in it has no signature of its own: that of the list vouches for it, where it is as listed.
  assert.deepEqual((await checked(directory, { key: ed25519.public })).problems, []);
  const { document } = await runVerb(verify, [directory], { key: ed25519.public });
  assert.match(JSON.stringify(document), /SHA256SUMS, which lists it: signed with/);
  assert.ok((await checked(directory, { key: ec.public })).problems.includes("no signature lies beside it"));
  appendFileSync(join(directory, "a.tar"), Buffer.alloc(512));
  const { problems } = await checked(directory, { key: ed25519.public });
  assert.ok(problems.includes("a.tar was changed") && problems.includes("no signature lies beside it"), problems.join());
  archive(directory, "a.tar");
  await runVerb(seal, [join(directory, "a.tar")], { "sign-key": ed25519.secret });
  await runVerb(seal, [directory], flags);
  assert.deepEqual((await checked(directory, { key: ed25519.public })).problems, []);
  const plain = join(directory, "notes", "plain.txt");
  writeFileSync(plain, "z");
  assert.deepEqual((await checked(directory, { key: ed25519.public })).problems, ["notes/plain.txt was changed"]);
  rmSync(plain);
  assert.deepEqual((await checked(directory, { key: ed25519.public })).problems, ["notes/plain.txt is missing"]);
  writeFileSync(plain, "y");
  writeFileSync(join(directory, "new"), "");
  const { events } = await runVerb(verify, [directory], { key: ed25519.public });
  assert.match(JSON.stringify(events), /not in SHA256SUMS: /);
});
