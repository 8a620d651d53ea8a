// Runs on Linux and macOS only: its login programs are shell scripts.
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ClockOffset } from "../../../src/cluster/clock.ts";
import { apiPath } from "../../../src/cluster/connection.ts";
import { proxyFor } from "../../../src/cluster/proxy.ts";
import { temporaryDirectory } from "../../e2e/harness.ts";
import { connectTo, fakeApiserver } from "../../fakes.ts";

/** The headers that a request arrives with. */
async function headersOf(t: TestContext, options: Parameters<typeof connectTo>[2], env: NodeJS.ProcessEnv = {}) {
  let seen: NodeJS.Dict<string | string[]> = {};
  const server = await fakeApiserver(t, (request, response) => {
    seen = {
      ...request.headers,
      ...(request.headersDistinct["impersonate-group"] ? { "impersonate-group": request.headersDistinct["impersonate-group"] } : {}),
    };
    response.end("{}");
  });
  const kubeconfig = options?.kubeconfig;
  if (kubeconfig !== undefined) writeFileSync(kubeconfig, kubeconfigText.replaceAll("SERVER", server));
  const connection = await connectTo(t, server, options, env);
  await connection.call({ path: "/version" });
  return seen;
}
let kubeconfigText = "";

function kubeconfigOf(user: object): string {
  return JSON.stringify({
    clusters: [{ name: "c", cluster: { server: "SERVER" } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  });
}

test("impersonation with groups and UID", async (t) => {
  const headers = await headersOf(t, { as: "ann", asGroups: ["a", "b"], asUid: "42", token: "secret" });
  assert.equal(headers["impersonate-user"], "ann");
  assert.equal(headers["impersonate-uid"], "42");
  assert.deepEqual(headers["impersonate-group"], ["a", "b"]);
  assert.equal(headers["authorization"], "Bearer secret");
  await assert.rejects(headersOf(t, { asGroups: ["a"] }), { exitCode: 2, fix: "add --as USER" });
});

test("impersonation from the kubeconfig, with extra fields", async (t) => {
  kubeconfigText = kubeconfigOf({ as: "bo", "as-groups": ["g"], "as-user-extra": { "Reason/why": ["x", "y"] } });
  const headers = await headersOf(t, { kubeconfig: join(await temporaryDirectory(t), "config") });
  assert.equal(headers["impersonate-user"], "bo");
  assert.deepEqual(headers["impersonate-group"], ["g"]);
  assert.equal(headers["impersonate-extra-reason%2fwhy"], "x, y");
});

test("basic authentication and a token file", async (t) => {
  const directory = await temporaryDirectory(t);
  kubeconfigText = kubeconfigOf({ username: "u", password: "p" });
  assert.equal((await headersOf(t, { kubeconfig: join(directory, "basic") }))["authorization"], `Basic ${btoa("u:p")}`);
  writeFileSync(join(directory, "token"), "from-file\n");
  kubeconfigText = kubeconfigOf({ tokenFile: "token" });
  assert.equal((await headersOf(t, { kubeconfig: join(directory, "file") }))["authorization"], "Bearer from-file");
});

test("exec credential plugins: asked once, told about the cluster, their failure explained", async (t) => {
  const directory = await temporaryDirectory(t);
  const login = join(directory, "login");
  const credential = '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"\'$EXTRA\'"}}';
  writeFileSync(
    login,
    `#!/bin/sh\nprintf %s "$KUBERNETES_EXEC_INFO" >"${directory}/info"\necho run >>"${directory}/runs"\necho '${credential}'\n`,
  );
  chmodSync(login, 0o755);
  kubeconfigText = kubeconfigOf({
    exec: {
      apiVersion: "client.authentication.k8s.io/v1",
      command: "./login",
      env: [{ name: "EXTRA", value: "from-plugin" }],
      provideClusterInfo: true,
      interactiveMode: "IfAvailable",
    },
  });
  const { PATH } = process.env;
  const headers = await headersOf(t, { kubeconfig: join(directory, "config") }, { PATH });
  assert.equal(headers["authorization"], "Bearer from-plugin");
  const { readFileSync } = await import("node:fs");
  const info = JSON.parse(readFileSync(join(directory, "info"), "utf8")) as {
    kind: string;
    spec: { interactive: boolean; cluster: { server: string } };
  };
  assert.equal(info.kind, "ExecCredential");
  assert.match(info.spec.cluster.server, /^http:/);

  writeFileSync(login, "#!/bin/sh\nexit 7\n");
  await assert.rejects(headersOf(t, { kubeconfig: join(directory, "config") }, { PATH }), {
    reason: "ExecPluginFailed",
    why: "it ended with exit status 7",
  });
  kubeconfigText = kubeconfigOf({
    exec: { apiVersion: "client.authentication.k8s.io/v1", command: "no-such-plugin", installHint: "install it" },
  });
  await assert.rejects(headersOf(t, { kubeconfig: join(directory, "config") }, { PATH }), {
    reason: "ExecPluginFailed",
    fix: "install it",
  });
});

test("--request-timeout bounds a request, and says so", async (t) => {
  const server = await fakeApiserver(t, () => undefined);
  const connection = await connectTo(t, server, { requestTimeoutMs: 100 });
  await assert.rejects(connection.call({ path: "/x" }), {
    reason: "RequestTimedOut",
    message: /no answer to GET http:\S+\/x within 0\.1 s/,
  });
});

async function listening(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("HTTPS_PROXY and proxy-url: the request goes through the proxy", async (t) => {
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on("connect", (request, socket) => {
    asked.push(request.url ?? "");
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  const port = await listening(t, proxy);
  const connection = await connectTo(t, "https://api.example:6443", { insecure: true }, { HTTPS_PROXY: `127.0.0.1:${port}` });
  await assert.rejects(connection.call({ path: "/version" }));
  assert.deepEqual(asked, ["api.example:6443"]);
});

test("a SOCKS5 proxy", async (t) => {
  const target = await fakeApiserver(t, (_request, response) => response.end("through"));
  const { port: targetPort } = new URL(target);
  const socks = createTcpServer((client) => {
    client.once("data", () => {
      client.write(Buffer.from([5, 0]));
      client.once("data", () => {
        const upstream = connect(Number(targetPort), "127.0.0.1", () => client.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0])));
        client.pipe(upstream).pipe(client);
      });
    });
  });
  const port = await listening(t, socks);
  const directory = await temporaryDirectory(t);
  const kubeconfig = join(directory, "config");
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: "c", cluster: { server: "http://api.example", "proxy-url": `socks5://127.0.0.1:${port}` } }],
      contexts: [{ name: "x", context: { cluster: "c" } }],
      "current-context": "x",
    }),
  );
  const { Connection } = await import("../../../src/cluster/connection.ts");
  const { context, NO_OPTIONS } = await import("../../fakes.ts");
  const connection = await Connection.open({ ...NO_OPTIONS, kubeconfig }, context(t.signal));
  t.after(async () => await connection.close());
  assert.equal((await connection.call({ path: "/version" })).text, "through");
});

test("NO_PROXY as client-go reads it", () => {
  const env = (noProxy: string) => ({ HTTPS_PROXY: "http://proxy:3128", NO_PROXY: noProxy });
  const through = (server: string, noProxy: string) => proxyFor(new URL(server), undefined, env(noProxy)) !== undefined;
  assert.equal(through("https://api.example:6443", ""), true);
  for (const noProxy of ["api.example", ".example", "example", "*", "x, api.example:6443", "*.example"])
    assert.equal(through("https://api.example:6443", noProxy), false, noProxy);
  for (const noProxy of ["pi.example", "api.example:443", ".other", "10.0.0.0/8"])
    assert.equal(through("https://api.example:6443", noProxy), true, noProxy);
  assert.equal(through("https://10.92.0.1:6443", "10.92.0.0/16"), false);
  assert.equal(through("https://[fd00::1]:6443", "fd00::/8"), false);
  assert.equal(through("https://10.93.0.1:6443", "10.92.0.0/16,bad/99,10.92.0.0/x"), true);
  assert.equal(through("https://localhost:6443", ""), false, "this machine is never proxied");
  assert.equal(proxyFor(new URL("https://localhost"), "http://p", {}), "http://p", "unless the kubeconfig says so");
});

test("path segments cannot leave their place", () => {
  assert.equal(apiPath`/api/v1/namespaces/${"../x?y#z"}/pods/${"a/b"}`, "/api/v1/namespaces/..%2Fx%3Fy%23z/pods/a%2Fb");
});

test("the clock's offset is 0 unless the clocks cannot agree", () => {
  const at = (seconds: number): string => new Date(seconds * 1000).toUTCString();
  const same = new ClockOffset();
  same.observe(at(100), 100_900, 100_950);
  assert.equal(same.seconds, 0);
  const ahead = new ClockOffset();
  ahead.observe(at(107), 100_900, 100_950);
  assert.equal(ahead.seconds, 6.6);
  ahead.observe(at(108), 101_200, 101_250);
  assert.equal(ahead.seconds, 6.9, "every answer narrows it");
  ahead.observe("nonsense", 0, 0);
  assert.equal(ahead.seconds, 6.9);
  assert.equal(new ClockOffset().seconds, 0);
});
