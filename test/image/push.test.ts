// Runs on Linux and macOS only: its certificates are made by openssl.
// Pushes to a registry that cuts, refuses, wants logins, or has it all already.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Budget } from "../../src/archive/budget.ts";
import { openBytes } from "../../src/archive/bytes.ts";
import { archiveFacts, keepForFacts } from "../../src/flows/restore/image/facts.ts";
import { pushImage, type PushRequest } from "../../src/flows/restore/image/push.ts";
import { registryFor } from "../../src/flows/restore/image/registries.ts";
import { blobSource, startUpload } from "../../src/image/registry/blobs.ts";
import { upload } from "../../src/image/registry/upload.ts";
import { parseReference } from "../../src/image/reference.ts";
import { makeCertificates } from "../certificates.ts";
import { context } from "../fakes.ts";
import { digestOf, fakeRegistry, type FakeOptions } from "./fake-registry.ts";
import { archiveBytes, sample } from "./samples.ts";

const ARCHIVE = sample("containerd-a.tar");

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** A fake, and pushes to it: by a user with a home of their own. */
async function standing(t: TestContext, options: FakeOptions = {}) {
  const registry = await fakeRegistry(t, options);
  const home = folder(t);
  const settings = { caFile: undefined, plainHttp: true, registryConfig: undefined, allowPublic: false };
  const where = context(t.signal, { HOME: home });
  const push = async (repository: string, more: Partial<PushRequest> = {}) =>
    await pushImage(where, {
      reference: parseReference(`${registry.address}/${repository}`),
      archive: archiveBytes(ARCHIVE),
      compression: undefined,
      origin: {},
      expected: undefined,
      settings,
      consent: async () => {},
      ...more,
    });
  const log = (): string[] => registry.requests.splice(0);
  return { registry, home, settings, where, push, log };
}

test("a push: the archive is a blob, the manifest names it, nothing is asked twice", async (t) => {
  const { registry, push } = await standing(t);
  const { digest, bytes, sentBytes, reference } = await push("dumps/a:1");
  assert.deepEqual([bytes, sentBytes], [ARCHIVE.length, ARCHIVE.length]);
  assert.ok(registry.blobs.get(digestOf(ARCHIVE))?.equals(ARCHIVE));
  assert.equal(digestOf(registry.manifests.get("dumps/a 1") ?? Buffer.alloc(0)), digest);
  assert.equal(reference, `${registry.address}/dumps/a@${digest}`);
  assert.equal(registry.received, ARCHIVE.length);
});

test("what the registry has is not sent: the same again, by its record, and from another repository", async (t) => {
  const { registry, push, log } = await standing(t);
  await push("a:1");
  log();
  const again = await push("a:1");
  assert.equal(again.sentBytes, 0);
  assert.ok(!log().some((line) => /^(PATCH|PUT)/.test(line)));
  const other = await push("b:1");
  assert.equal(other.sentBytes, 0);
  assert.ok(log().some((line) => line.includes(`mount=${encodeURIComponent(digestOf(ARCHIVE))}&from=a`)));
  assert.ok(registry.links.has(`b ${digestOf(ARCHIVE)}`));
  registry.links.add(`c ${digestOf(ARCHIVE)}`);
  assert.equal((await push("c:1", { expected: digestOf(ARCHIVE) })).sentBytes, 0);
  assert.equal(registry.received, ARCHIVE.length, "sent once");
});

test("compressed, it is known again by the archive", async (t) => {
  const { registry, push } = await standing(t);
  const first = await push("a:z", { compression: "zstd" });
  assert.ok(first.bytes < ARCHIVE.length / 2);
  const second = await push("b:z", { compression: "zstd" });
  assert.equal(second.sentBytes, 0);
  assert.equal(second.digest, first.digest);
  assert.ok(registry.received < ARCHIVE.length);
});

test("another archive of the same size is sent, whatever was known", async (t) => {
  const { registry, push } = await standing(t);
  await push("a:1");
  const other = Buffer.from(ARCHIVE);
  const middle = other.length >> 1;
  other[middle] = (other[middle] ?? 0) ^ 1;
  await push("a:1", { archive: archiveBytes(other), expected: digestOf(other) });
  assert.ok(registry.blobs.get(digestOf(other))?.equals(other));
});

test("a cut in the middle of a piece loses the upload: it starts again, and says so", async (t) => {
  const { registry, push, where } = await standing(t, { cut: (patch) => (patch <= 2 ? { after: 100_000 } : undefined) });
  const { digest } = await push("a:1");
  assert.equal(digestOf(registry.manifests.get("a 1") ?? Buffer.alloc(0)), digest);
  assert.equal(where.events.filter(({ kind }) => kind === "warning").length, 2);
});

test("cuts between two pieces: it goes on, and no byte is sent twice", async (t) => {
  const { registry, settings, where } = await standing(t, { cut: (patch) => (patch === 2 || patch === 4 ? { after: 0 } : undefined) });
  const blob = randomBytes(300_000);
  await using repository = await registryFor(where, settings, parseReference(`${registry.address}/a:1`), "pull,push");
  const location = (await startUpload(repository)) ?? assert.fail("no upload");
  let sent = 0;
  const uploading = upload(repository, { location, sent: (bytes) => (sent = bytes), signal: t.signal, pieceBytes: 65_536 });
  for (let at = 0; at < blob.length; at += 20_000) await uploading.write(blob.subarray(at, at + 20_000));
  await uploading.finish(digestOf(blob));
  assert.ok(registry.blobs.get(digestOf(blob))?.equals(blob));
  assert.equal(registry.received, blob.length);
  assert.equal(sent, blob.length);
  assert.equal(registry.requests.filter((line) => line.startsWith("PATCH")).length, 7, "five pieces, two cuts");
});

test("a pipe cannot start again: the loss is told", async (t) => {
  const { push } = await standing(t, { cut: () => ({ after: 1000 }) });
  await assert.rejects(push("a:1", { archive: { ...archiveBytes(ARCHIVE), repeatable: false, size: undefined } }), {
    reason: "UploadLost",
  });
});

for (const kind of ["basic", "bearer"] as const) {
  test(`${kind}: the login is found when it is asked for; without one, or with a wrong one, it is told where it came from`, async (t) => {
    const { registry, push, home, settings } = await standing(t, { login: { kind, username: "test", password: "test-password" } });
    const config = join(home, "config.json");
    const write = (password: string): void =>
      writeFileSync(
        config,
        JSON.stringify({ auths: { [registry.address]: { auth: Buffer.from(`test:${password}`).toString("base64") } } }),
      );
    await assert.rejects(push("a:1"), { reason: "RegistryLoginNeeded" });
    write("wrong");
    await assert.rejects(push("a:1", { settings: { ...settings, registryConfig: config } }), {
      reason: "RegistryLoginWrong",
      message: `the registry ${registry.address} does not accept the login of test from ${config}`,
    });
    write("test-password");
    await push("a:1", { settings: { ...settings, registryConfig: config } });
    assert.ok(registry.manifests.has("a 1"));
  });
}

test("an identity token gets a token by a form, a password never", async (t) => {
  const { registry, push, home, settings } = await standing(t, { login: { kind: "bearer", username: "", password: "idtok" } });
  const config = join(home, "config.json");
  writeFileSync(config, JSON.stringify({ auths: { [registry.address]: { identitytoken: "idtok" } } }));
  await push("a:1", { settings: { ...settings, registryConfig: config } });
  assert.ok(registry.requests.includes("POST /token"));
  assert.ok(!registry.requests.some((line) => line.includes("idtok")));
});

test("TLS: an unknown CA, plain HTTP in its place, and the other way round are explained; --ca-file is trusted", async (t) => {
  const home = folder(t);
  const tls = makeCertificates(home);
  const { registry, push, settings } = await standing(t, { tls });
  const secure = { ...settings, plainHttp: false };
  await assert.rejects(push("a:1", { settings: secure }), {
    reason: "RegistryCertificateUntrusted",
    // Node.js adds what helps who starts Node.js.
    why: /^(?!.*Node)/,
    fix: "give the certificate of its CA: --ca-file FILE",
  });
  await push("a:1", { settings: { ...secure, caFile: join(home, "ca.crt") } });
  assert.ok(registry.manifests.has("a 1"));
  await assert.rejects(push("a:1", { settings: { ...secure, caFile: join(home, "tls.key") } }), { reason: "CAFileUnreadable" });
  const plain = await standing(t);
  await assert.rejects(plain.push("a:1", { settings: secure }), { reason: "RegistryPlainHttp" });
});

test("refusals in the registry's own words: full, forbidden, too large, no registry at all", async (t) => {
  const answers: [status: number, body: string, type: string, reason: string][] = [
    [
      500,
      '{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"DriverName":"filesystem","Enclosed":{"Op":"write","Err":28}}}]}',
      "application/json",
      "RegistryFull",
    ],
    [403, '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}', "application/json", "RegistryForbidden"],
    [413, "<html><h1>413 Request Entity Too Large</h1></html>", "text/html", "RegistryTooLarge"],
    [404, '{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]}', "application/json", "RepositoryNotFound"],
    [418, "\u001b[31mI am a teapot", "text/plain", "RegistryRefused"],
  ];
  for (const [status, body, type, reason] of answers) {
    const { push } = await standing(t, {
      instead: (request, response) => {
        if (request.method !== "POST") return false;
        response.writeHead(status, { "content-type": type }).end(body);
        return true;
      },
    });
    await assert.rejects(push("a:1"), { reason });
  }
  const site = await standing(t, {
    instead: (_request, response) => response.writeHead(404, { "content-type": "text/html" }).end("<h1>no</h1>") && true,
  });
  await assert.rejects(site.push("a:1"), { reason: "NotARegistry" });
});

test("hostile answers: endless redirects, an upload elsewhere in the clear, a digest that is none", async (t) => {
  const loop = await standing(t, {
    instead: (request, response) => response.writeHead(307, { location: request.url ?? "" }).end() && true,
  });
  await assert.rejects(loop.push("a:1"), { reason: "RegistryRedirect" });
  const silent = await standing(t, { instead: (request, response) => request.method === "POST" && response.writeHead(202).end() && true });
  await assert.rejects(silent.push("a:1"), { reason: "RegistryAnswerInvalid" });
});

test("to a digest that is another image's, nothing is named", async (t) => {
  const { registry, push } = await standing(t);
  await assert.rejects(push(`a@sha256:${"0".repeat(64)}`), { reason: "DigestMismatch" });
  assert.equal(registry.manifests.size, 0);
});

test("public registries are refused before anything is sent", async (t) => {
  const { push } = await standing(t);
  await assert.rejects(push("a:1", { reference: parseReference("quay.io/team/dump:1") }), { reason: "PublicRegistry", exitCode: 2 });
});

test("a layer is read by ranges, like an archive on this machine", async (t) => {
  const { registry, push, settings, where, log } = await standing(t);
  await push("a:1");
  log();
  await using repository = await registryFor(where, settings, parseReference(`${registry.address}/a:1`), "pull");
  const source = blobSource(repository, { digest: digestOf(ARCHIVE), bytes: ARCHIVE.length });
  await using archive = await openBytes(source, "layer", { keep: keepForFacts, budget: new Budget() });
  const { info } = await archiveFacts(archive);
  assert.equal(info.engine, "containerd");
  assert.ok(log().length < 60);
});
