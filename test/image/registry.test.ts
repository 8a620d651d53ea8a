// Registries that redirect, fail, stall or lie; what real ones cannot be made to do.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openArchive } from "../../src/archive/open.ts";
import { verb as show } from "../../src/commands/show.ts";
import { pullImage } from "../../src/flows/restore/image/pull.ts";
import { pushImage } from "../../src/flows/restore/image/push.ts";
import { checkWritable, removeImage } from "../../src/flows/restore/image/registries.ts";
import { parseReference } from "../../src/image/reference.ts";
import { openRegistry } from "../../src/image/registry/client.ts";
import { findManifest } from "../../src/image/registry/manifests.ts";
import type { Event } from "../../src/model/context.ts";
import { runVerb } from "../commands/running.ts";
import { context } from "../fakes.ts";
import { digestOf, fakeRegistry, type FakeOptions } from "./fake-registry.ts";
import { archiveBytes, sample } from "./samples.ts";

const ARCHIVE = sample("containerd-a.tar");
const PASSWORD = "test-password";

/** A fake with an image a:1 in it, and a user who may log in. */
async function standing(t: TestContext, options: FakeOptions = {}) {
  let instead: FakeOptions["instead"];
  const registry = await fakeRegistry(t, { ...options, instead: (request, response) => instead?.(request, response) ?? false });
  const home = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(() => rmSync(home, { recursive: true }));
  const registryConfig = join(home, "config.json");
  const auth = Buffer.from(`test:${PASSWORD}`).toString("base64");
  writeFileSync(registryConfig, JSON.stringify({ auths: { [registry.address]: { auth } } }));
  const settings = { caFile: undefined, plainHttp: true, registryConfig, allowPublic: false };
  const where = context(t.signal, { HOME: home });
  const reference = parseReference(`${registry.address}/a:1`);
  const push = async () =>
    await pushImage(where, {
      reference,
      archive: archiveBytes(ARCHIVE),
      compression: undefined,
      origin: {},
      expected: undefined,
      settings,
      consent: async () => {},
    });
  return { registry, settings, where, reference, push, answerInstead: (other: FakeOptions["instead"]) => (instead = other) };
}

/** Another server that a registry redirects to; keeps what it is sent. */
async function elsewhere(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

function isLayer({ method, url = "" }: IncomingMessage): boolean {
  return method === "GET" && url.endsWith(digestOf(ARCHIVE));
}

for (const challenge of ['Basic realm="x"', "Bearer"]) {
  test(`a redirect leads to somebody who asks for a login (${challenge}): nobody but the registry gets one`, async (t) => {
    const { registry, push, where, settings, reference, answerInstead } = await standing(t, {
      login: { kind: "bearer", username: "test", password: PASSWORD },
    });
    await push();
    const evil = await elsewhere(t, (request, response) => {
      const realm = `http://${request.headers.host}/token`;
      response.writeHead(401, { "www-authenticate": challenge === "Bearer" ? `Bearer realm="${realm}",service="s"` : challenge }).end();
    });
    answerInstead((request, response) => {
      if (!isLayer(request)) return false;
      response.writeHead(307, { location: `http://${evil.address}/blob?X-Amz-Signature=s3cr3t` }).end();
      return true;
    });
    await using image = await pullImage(where, settings, reference);
    const pull = async (): Promise<void> => {
      for await (const _ of image.layers[0]?.open() ?? []);
    };
    await assert.rejects(pull(), { reason: "RegistryRedirectRefused", why: /no password or token is sent to it/ });
    assert.equal(evil.requests.length, 1);
    assert.equal(evil.requests[0]?.headers.authorization, undefined);
    assert.ok(registry.requests.some((line) => line.startsWith("GET /token")));
  });
}

test("a redirect to storage works, without the login; its signature and an upload's state are in no log", async (t) => {
  const { push, where, settings, reference, answerInstead } = await standing(t, {
    login: { kind: "basic", username: "test", password: PASSWORD },
  });
  await push();
  const storage = await elsewhere(t, (_, response) => response.end(ARCHIVE));
  answerInstead((request, response) => {
    if (!isLayer(request)) return false;
    response.writeHead(307, { location: `http://${storage.address}/blob?X-Amz-Signature=s3cr3t&digest=abc` }).end();
    return true;
  });
  await using archive = await openArchive(`registry:${reference.registry}/a:1`, {
    pull: async (text) => await pullImage(where, settings, parseReference(text)),
  });
  assert.ok(archive.members.has("config.dump"));
  assert.equal(storage.requests[0]?.headers.authorization, undefined);
  const logged = JSON.stringify(where.events.filter(({ kind }) => kind === "request"));
  assert.doesNotMatch(logged, /s3cr3t|_state=(?!<masked>)/);
  assert.match(logged, /X-Amz-Signature=<masked>&digest=abc/);
});

test("a registry that stalls is given up: while it is silent, while it drips, and while it takes nothing", async (t) => {
  const pace = { periodMs: 150, leastBytes: 1000 };
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    },
    (response) => void response.writeHead(200, { "content-type": "application/json" }).write("{"),
  ];
  for (const answer of answers) {
    const { reference, answerInstead, where } = await standing(t);
    answerInstead((_, response) => (answer(response), true));
    const options = { reference, plainHttp: true, actions: "pull", authorities: undefined, proxy: undefined, pace } as const;
    await using registry = openRegistry({ ...options, credential: async () => undefined }, where);
    const started = performance.now();
    const request = { method: "GET", url: "/v2/a/manifests/1", doing: "read the manifest" } as const;
    await assert.rejects(registry.request(request), { reason: "RegistryStalled", why: /^it moved only \d+ bytes in 0 s$/ });
    assert.ok(performance.now() - started < 10_000);
  }
});

test("errors of a server in the middle of a push: it goes on", async (t) => {
  const { registry, push, answerInstead } = await standing(t);
  const failed = new Map<string, number>();
  answerInstead((request, response) => {
    const kind = `${request.method} ${request.url?.replace(/[?].*|uploads\/.*/, "")}`;
    const count = (failed.get(kind) ?? 0) + 1;
    failed.set(kind, count);
    if (count > 2) return false;
    request.resume();
    request.on("end", () => response.writeHead([500, 503, 502][count % 3] ?? 500, { "content-type": "text/plain" }).end("not now"));
    return true;
  });
  const { digest } = await push();
  assert.equal(digestOf(registry.manifests.get("a 1") ?? Buffer.alloc(0)), digest);
  assert.ok([...failed.keys()].some((kind) => kind.startsWith("PATCH")));
  assert.ok(registry.blobs.get(digestOf(ARCHIVE))?.equals(ARCHIVE));
});

test("whether one may push is known before anything is sent: an upload is begun and cancelled", async (t) => {
  const { registry, settings, where, reference, answerInstead } = await standing(t);
  await checkWritable(where, settings, reference);
  assert.deepEqual(
    registry.requests.map((line) => line.replace(/uploads\/.*/, "uploads/")),
    ["POST /v2/a/blobs/uploads/", "DELETE /v2/a/blobs/uploads/"],
  );
  answerInstead((request, response) => {
    if (request.method !== "POST") return false;
    response.writeHead(403, { "content-type": "application/json" }).end('{"errors":[{"code":"DENIED","message":"read only"}]}');
    return true;
  });
  await assert.rejects(checkWritable(where, settings, reference), {
    reason: "RegistryForbidden",
    why: "it answered 403: DENIED: read only",
  });
});

test("an image that is of no use is removed, where the registry lets it", async (t) => {
  const { registry, push, settings, where, reference } = await standing(t);
  const { digest } = await push();
  assert.equal(await removeImage(where, settings, reference, digest), true);
  assert.ok(!registry.manifests.has(`a ${digest}`));
  assert.equal(await removeImage(where, settings, reference, digest), false);
  const keeping = await standing(t, { keeps: true });
  const kept = await keeping.push();
  assert.equal(await removeImage(keeping.where, keeping.settings, keeping.reference, kept.digest), false);
});

test("a layer that is cut is read on; one that is something else is refused, however it comes", async (t) => {
  const { push, where, settings, reference, answerInstead } = await standing(t);
  await push();
  const options = { pull: async (text: string) => await pullImage(where, settings, parseReference(text)) };
  const file = `registry:${reference.registry}/a:1`;
  let cuts = 0;
  answerInstead((request, response) => {
    if (!isLayer(request) || (cuts += 1) > 3) return false;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from === 0 ? 200 : 206, { "content-length": String(ARCHIVE.length - from) });
    response.write(ARCHIVE.subarray(from, from + 50_000), () => response.destroy());
    return true;
  });
  await using archive = await openArchive(file, options);
  assert.ok(archive.complete && archive.members.has("config.dump"));
  assert.equal(cuts, 4);
  const other = Buffer.from(ARCHIVE);
  other[5000] = 1;
  for (const bytes of [other, Buffer.concat([ARCHIVE, Buffer.alloc(512)])]) {
    answerInstead((request, response) => isLayer(request) && response.end(bytes) !== undefined);
    await assert.rejects(openArchive(file, options), { reason: "DigestMismatch" });
    await assert.rejects(openArchive(file, { ...options, keep: () => true }), { reason: "DigestMismatch" });
  }
});

test("an index of one image is followed; of several they are named", async (t) => {
  const { registry, push, where, settings, reference } = await standing(t);
  const { digest } = await push();
  const index = (...digests: readonly string[]): Buffer =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: digests.map((one) => ({ digest: one })) }));
  registry.manifests.set("a 1", index(digest));
  await using image = await pullImage(where, settings, reference);
  assert.equal(image.digest, digest);
  registry.manifests.set("a 1", index(digest, digest));
  await assert.rejects(pullImage(where, settings, reference), { reason: "ImageAmbiguous" });
  registry.manifests.delete("a 1");
  await assert.rejects(pullImage(where, settings, reference), { reason: "ImageNotFound" });
});

test("show reads an image from its registry", async (t) => {
  const { push, reference } = await standing(t);
  await push();
  const { lines, exitCode } = await runVerb(show, [`registry:${reference.registry}/a:1`], { "plain-http": true });
  assert.equal(exitCode, 0);
  assert.match(lines[1] ?? "", /\|counter\|localhost\/bb:1\|/);
});

test("a manifest by its digest is the one of that digest", async (t) => {
  const { registry, push, where, reference } = await standing(t);
  const { digest } = await push();
  registry.manifests.set(`a ${digest}`, Buffer.from("{}"));
  const options = { reference, plainHttp: true, actions: "pull", authorities: undefined, proxy: undefined } as const;
  await using repository = openRegistry({ ...options, credential: async () => undefined }, where);
  await assert.rejects(findManifest(repository, digest), { reason: "RegistryAnswerInvalid" });
  const events: readonly Event[] = where.events;
  assert.ok(events.some(({ kind }) => kind === "request"));
});
