// Runs on Linux and macOS only: its login programs are shell scripts.
// Credentials that change: renewed once, kept, and used for new connections.
import assert from "node:assert/strict";
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { programToRun } from "../../../src/cluster/auth/program.ts";
import { writeTokens } from "../../../src/cluster/auth/kubeconfig-tokens.ts";
import { temporaryDirectory } from "../../e2e/harness.ts";
import { connectTo } from "../../fakes.ts";
import { makePki } from "../../kubectl-beside/pki.ts";
import { apiServer, idToken, issuer, status, type ApiServerOptions } from "../../kubectl-beside/servers.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const folder = mkdtempSync(join(tmpdir(), "auth-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const pki = makePki(folder);
const V1 = "client.authentication.k8s.io/v1";

async function serving(t: TestContext, options: Partial<ApiServerOptions> = {}) {
  const server = await apiServer({ pki, ...options });
  t.after(() => server.close());
  return server;
}

async function kubeconfig(t: TestContext, server: string, user: object): Promise<string> {
  const file = join(await temporaryDirectory(t), "config");
  const cluster = { server, "certificate-authority-data": pki.data("ca.crt") };
  const contexts = [{ name: "x", context: { cluster: "c", user: "u" } }];
  writeFileSync(
    file,
    JSON.stringify({ clusters: [{ name: "c", cluster }], users: [{ name: "u", user }], contexts, "current-context": "x" }),
  );
  return file;
}

const open = async (t: TestContext, file: string) =>
  await connectTo(t, "", { kubeconfig: file, server: undefined }, { PATH: process.env["PATH"] });

/** An exec plugin that answers with a line of the file "answers" after the other, the last one for ever. */
async function plugin(t: TestContext, answers: readonly object[]) {
  const directory = await temporaryDirectory(t);
  const command = join(directory, "login");
  const lines = answers.map((answer) => JSON.stringify({ kind: "ExecCredential", apiVersion: V1, status: answer }));
  writeFileSync(join(directory, "answers"), `${lines.join("\n")}\n`);
  writeFileSync(join(directory, "runs"), "");
  writeFileSync(
    command,
    `#!/bin/sh\necho run >>${directory}/runs\nn=$(wc -l <${directory}/runs)\nm=$(wc -l <${directory}/answers)\n[ $n -gt $m ] && n=$m\nsleep 0.1\nsed -n "$n"p ${directory}/answers\n`,
  );
  chmodSync(command, 0o755);
  return {
    exec: { apiVersion: V1, command, interactiveMode: "Never" },
    runs: () => readFileSync(join(directory, "runs"), "utf8").split("\n").length - 1,
  };
}

test("an exec plugin runs once for calls that wait for it, and once more where a 401 meets many", async (t) => {
  const { exec, runs } = await plugin(t, [{ token: "stale" }, { token: "fresh" }]);
  const server = await serving(t, {
    answer: (request, response) => request.headers.authorization !== "Bearer fresh" && status(response, 401, "Unauthorized", "no"),
  });
  const connection = await open(t, await kubeconfig(t, server.url, { exec }));
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => await connection.call({ method: "POST", path: "/api/v1/namespaces/n/pods/nginx", body: {} })),
  );
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  assert.equal(runs(), 2);
});

test("a 401 that stays: asked once again, not for ever", async (t) => {
  const { exec, runs } = await plugin(t, [{ token: "one" }, { token: "two" }, { token: "three" }]);
  const server = await serving(t, { answer: (_, response) => status(response, 401, "Unauthorized", "no") });
  const connection = await open(t, await kubeconfig(t, server.url, { exec }));
  assert.equal((await connection.call({ path: "/x" })).status, 401);
  assert.equal(runs(), 2);
});

test("a certificate that changes when it expires is used for new connections; a call under way goes on over the old one", async (t) => {
  const of = (name: string) => ({ clientCertificateData: pki.read(`${name}.crt`), clientKeyData: pki.read(`${name}.key`) });
  const soon = new Date(Date.now() + 1500).toISOString();
  const { exec, runs } = await plugin(t, [{ ...of("alice"), expirationTimestamp: soon }, of("bob")]);
  let release: () => void = () => undefined;
  const server = await serving(t, {
    answer: (request, response) => {
      if (request.url !== "/slow") return false;
      release = () => response.end("{}");
      return true;
    },
  });
  const connection = await open(t, await kubeconfig(t, server.url, { exec }));
  await connection.call({ path: "/api" });
  const slow = connection.call({ path: "/slow" });
  await sleep(1600);
  await connection.call({ path: "/api" });
  release();
  assert.equal((await slow).status, 200);
  await connection.call({ path: "/api" });
  assert.deepEqual(
    server.seen.map(({ url, certificate }) => `${url} ${certificate}`),
    ["/api alice", "/slow alice", "/api bob", "/api bob"],
  );
  assert.equal(runs(), 2);
});

test("a token file is read again after a 401", async (t) => {
  const directory = await temporaryDirectory(t);
  const tokenFile = join(directory, "token");
  writeFileSync(tokenFile, "old");
  const server = await serving(t, {
    answer: (request, response) => {
      if (request.headers.authorization === "Bearer new") return false;
      writeFileSync(tokenFile, "new");
      return status(response, 401, "Unauthorized", "no");
    },
  });
  const connection = await open(t, await kubeconfig(t, server.url, { tokenFile }));
  assert.equal((await connection.call({ path: "/api" })).status, 200);
});

function oidcUser(url: string, more: object): object {
  const config = {
    "idp-issuer-url": `${url}/realm`,
    "idp-certificate-authority-data": pki.data("ca.crt"),
    "client-id": "kube",
    "refresh-token": "r",
    "id-token": idToken("old", -60),
    ...more,
  };
  return { "auth-provider": { name: "oidc", config } };
}

test("OIDC: many calls, one refresh; the kubeconfig has the new tokens, and a second process uses them", async (t) => {
  const provider = await issuer(pki, { rotates: true });
  t.after(() => provider.close());
  const server = await serving(t);
  const file = await kubeconfig(t, server.url, oidcUser(provider.url, {}));
  chmodSync(file, 0o640);
  const before = readFileSync(file, "utf8");
  const connection = await open(t, file);
  await Promise.all(Array.from({ length: 10 }, async () => await connection.call({ path: "/api" })));
  assert.deepEqual(provider.refreshes, ["refresh_token r of kube:"]);
  const written = readFileSync(file, "utf8");
  const fresh = idToken("refreshed-1", 3600);
  assert.equal(written, before.replace(idToken("old", -60), fresh).replace('"refresh-token":"r"', '"refresh-token":"r+"'));
  assert.equal(statSync(file).mode & 0o777, 0o640);
  await (await open(t, file)).call({ path: "/api" });
  assert.equal(provider.refreshes.length, 1);
  assert.equal(server.seen.at(-1)?.authorization, `Bearer ${fresh}`);
});

test("OIDC: tokens that another process has written meanwhile are taken, and not renewed again", async (t) => {
  const provider = await issuer(pki, { rotates: true });
  t.after(() => provider.close());
  const server = await serving(t);
  const file = await kubeconfig(t, server.url, oidcUser(provider.url, {}));
  const connection = await open(t, file);
  const theirs = idToken("theirs", 3600);
  writeFileSync(file, readFileSync(file, "utf8").replace(idToken("old", -60), theirs));
  await connection.call({ path: "/api" });
  assert.deepEqual(provider.refreshes, []);
  assert.equal(server.seen.at(-1)?.authorization, `Bearer ${theirs}`);
});

const OLD = { idToken: "old.id.token", refreshToken: "r" };
const NEW = { idToken: "new.id.token", refreshToken: "r2" };
const YAML = `# mine
users:
- name: other
  user: {auth-provider: {name: oidc, config: {id-token: other.id.token, refresh-token: r}}}
- name: u # me
  user:
    auth-provider:
      name: oidc
      config:
        client-id: kube
        id-token: old.id.token
        refresh-token: "r"
contexts: [] # none
`;

test("tokens are written back: only they change, comments stay, links are followed, the lock is client-go's", async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, "config");
  const link = join(directory, "link");
  symlinkSync(file, link);
  // The other user's has the same refresh token, and keeps it.
  writeFileSync(file, YAML, { mode: 0o600 });
  await writeTokens({ file: link, user: "u" }, OLD, NEW);
  const { load } = await import("js-yaml");
  const users = (text: string) => (load(text) as { users: { name: string; user: unknown }[] }).users;
  const [other, mine] = users(readFileSync(file, "utf8"));
  assert.deepEqual(other, users(YAML)[0]);
  assert.match(JSON.stringify(mine), /"id-token":"new\.id\.token","refresh-token":"r2"/);

  const own = YAML.replace(/- name: other\n.*\n/, "");
  writeFileSync(file, own);
  await writeTokens({ file, user: "u" }, OLD, NEW);
  assert.equal(readFileSync(file, "utf8"), own.replace("old.id.token", "new.id.token").replace('"r"', '"r2"'));

  const without = own.replace(/ +id-token: .*\n/, "");
  writeFileSync(file, without);
  await writeTokens({ file, user: "u" }, { ...OLD, idToken: "" }, NEW);
  assert.match(readFileSync(file, "utf8"), /^# mine[\s\S]*\n {8}id-token: new\.id\.token\n {8}refresh-token: "r2"\n[\s\S]*# none\n$/);

  writeFileSync(file, own);
  writeFileSync(`${file}.lock`, "");
  setTimeout(() => rmSync(`${file}.lock`), 300);
  const began = performance.now();
  await writeTokens({ file, user: "u" }, OLD, NEW);
  assert.ok(performance.now() - began >= 290);
  assert.throws(() => statSync(`${file}.lock`), { code: "ENOENT" });

  await writeTokens({ file, user: "u" }, OLD, { idToken: "late", refreshToken: "late" });
  assert.ok(!readFileSync(file, "utf8").includes("late"), "somebody else's newer tokens stay");
});

test("on Windows a plugin is found by PATHEXT, and batch files are given to cmd.exe", async () => {
  const env = { Path: String.raw`C:\tools;C:\bin`, PATHEXT: ".EXE;.CMD", ComSpec: String.raw`C:\cmd.exe` };
  const find = async (command: string, there: string, args: readonly string[] = []) =>
    await programToRun(command, args, env, "win32", async (path) => path.toLowerCase() === there.toLowerCase());
  assert.deepEqual(await find("login", String.raw`C:\bin\login.exe`, ["a b"]), {
    file: String.raw`C:\bin\login.exe`,
    args: ["a b"],
    verbatim: false,
  });
  const batch = await find("login", String.raw`C:\bin\login.cmd`, ["a & b"]);
  assert.equal(batch?.file, String.raw`C:\cmd.exe`);
  assert.deepEqual(batch.args.slice(0, 3), ["/d", "/s", "/c"]);
  assert.match(batch.args[3] ?? "", /login\.cmd\^" \^"a\^ \^&\^ b\^""$/);
  assert.equal(await find("login", String.raw`C:\bin\login`), undefined);
  assert.equal((await find(String.raw`C:\x\login.exe`, String.raw`C:\x\login.exe`))?.file, String.raw`C:\x\login.exe`);
});
