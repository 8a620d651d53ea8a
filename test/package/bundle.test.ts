// Runs on Linux and macOS only: its certificates are made by openssl.
// The bundle leaves out parts of its libraries (.ci/build/trim.ts): what is left of them does what users rely on.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpsServer } from "node:https";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test, type TestContext } from "node:test";
import { makeCertificates } from "../certificates.ts";
import { makePki } from "../kubectl-beside/pki.ts";
import { apiServer, idToken, issuer, status } from "../kubectl-beside/servers.ts";
import { ROOT } from "./packaged.ts";

const EXECUTABLE = join(ROOT, "dist/kubectl-checkpoint");
const COMMAND = join(ROOT, "dist/npm/kubectl-checkpoint.cjs");

/** Runs `kubectl checkpoint web` with a kubeconfig of one cluster and one user. */
async function checkpoint(t: TestContext, cluster: object, user: object, ...args: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bundle-"));
  t.after(async () => await rm(folder, { recursive: true }));
  const file = join(folder, "config");
  const context = { cluster: "c", user: "u" };
  const config = {
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context }],
    "current-context": "x",
  };
  await writeFile(file, JSON.stringify(config));
  const child = spawn(process.execPath, [COMMAND, "web", "--kubeconfig", file, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  return await text(child.stderr);
}

const folder = mkdtempSync(join(tmpdir(), "bundle-"));
after(async () => await rm(folder, { recursive: true }));
const pki = makePki(folder);

/** An API server that refuses, and the Authorization header it was sent. */
async function authorization(t: TestContext, user: object): Promise<string | undefined> {
  const server = await apiServer({ pki, answer: (_, response) => status(response, 401, "Unauthorized", "Unauthorized") });
  t.after(() => server.close());
  const cluster = { server: server.url, "certificate-authority-data": pki.data("ca.crt") };
  assert.match(await checkpoint(t, cluster, user), /^error: the API server does not accept these credentials/);
  return server.seen[0]?.authorization;
}

test("an expired token of the auth provider oidc is renewed", async (t) => {
  const provider = await issuer(pki);
  t.after(() => provider.close());
  const config = {
    "idp-issuer-url": `${provider.url}/realm`,
    "idp-certificate-authority-data": pki.data("ca.crt"),
    "client-id": "kubernetes",
    "refresh-token": "r",
    "id-token": idToken("old", -60),
  };
  assert.equal(await authorization(t, { "auth-provider": { name: "oidc", config } }), `Bearer ${idToken("refreshed-1", 3600)}`);
});

test("an exec plugin", async (t) => {
  const login = join(folder, "login");
  const answer = { kind: "ExecCredential", apiVersion: "client.authentication.k8s.io/v1", status: { token: "of-exec" } };
  await writeFile(login, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`, { mode: 0o755 });
  const exec = { apiVersion: answer.apiVersion, command: login, interactiveMode: "Never" };
  assert.equal(await authorization(t, { exec }), "Bearer of-exec");
});

test("tokens of the auth providers gcp and azure, as they stand and of a command", async (t) => {
  const expiry = new Date(Date.now() + 3_600_000).toISOString();
  const gcp = { "auth-provider": { name: "gcp", config: { "access-token": "of-gcp", expiry } } };
  assert.equal(await authorization(t, gcp), "Bearer of-gcp");
  const login = join(folder, "azure-login");
  await writeFile(login, `#!/bin/sh\necho '{"token": "of-azure", "until": "2099-01-01T00:00:00Z"}'\n`, { mode: 0o755 });
  const config = { "cmd-path": login, "token-key": "{.token}", "expiry-key": "{.until}" };
  assert.equal(await authorization(t, { "auth-provider": { name: "azure", config } }), "Bearer of-azure");
});

for (const [scheme, greeting] of [
  ["http", "GET http://192.0.2.1:6443/api/v1/namespaces/default/pods/web HTTP/1.1\r\n"],
  // Version 5, one method of authentication: none.
  ["socks5", "\u0005\u0001\u0000"],
] as const) {
  test(`a proxy by ${scheme}`, async (t) => {
    const proxy = createServer();
    await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
    t.after(() => proxy.close());
    const greeted = new Promise<string>((done) => {
      proxy.on("connection", (socket) =>
        socket.once("data", (data) => {
          done(data.toString("latin1"));
          // No such method.
          socket.end("\u0005\u00ff");
        }),
      );
    });
    const { port } = proxy.address() as AddressInfo;
    const cluster = { server: "http://192.0.2.1:6443", "proxy-url": `${scheme}://127.0.0.1:${port}` };
    const [stderr, said] = await Promise.all([checkpoint(t, cluster, {}), greeted]);
    assert.ok(said.startsWith(greeting), said);
    assert.match(stderr, /^error: /);
  });
}

test("a server whose CA only the environment knows", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "authorities-"));
  t.after(async () => await rm(folder, { recursive: true }));
  const { cert, key } = makeCertificates(folder);
  const server = createHttpsServer({ cert, key }, (_request, response) => response.writeHead(401).end());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const run = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const child = spawn(EXECUTABLE, ["web", "--server", url], { env, stdio: ["ignore", "ignore", "pipe"] });
    return await text(child.stderr);
  };
  assert.match(await run({}), /^error: cannot trust the certificate of /);
  // A company's own, for Node.js programs; and what stands for this machine's store.
  for (const variable of ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"]) {
    assert.match(await run({ [variable]: join(folder, "ca.crt") }), /^error: the API server does not accept/, variable);
  }
});

test("flags are checked without what yargs lays out its help with", async (t) => {
  assert.match(await checkpoint(t, {}, {}, "--color", "red"), /^error: invalid value "red" for --color: use one of auto, always, never\n/);
});

test("-v=9 shows names and chunks in a stack trace", async (t) => {
  const stderr = await checkpoint(t, { server: "http://127.0.0.1:9" }, {}, "-v=9");
  assert.match(stderr, /^\s+at .*\bnetworkError\b.*\.cjs:\d+:\d+\)?$/m);
});
