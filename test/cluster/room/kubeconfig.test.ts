import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, test } from "node:test";
import { load } from "js-yaml";
import type { ConnectionOptions } from "../../../src/cluster/kubeconfig/options.ts";
import { readKubeconfig } from "../../../src/cluster/kubeconfig/files.ts";
import { selectFromKubeconfig } from "../../../src/cluster/kubeconfig/select.ts";
import { NO_OPTIONS } from "../../fakes.ts";

const directory = mkdtempSync(join(tmpdir(), "kubeconfig-"));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const FIRST = file(
  "first",
  `
current-context: one
clusters:
- {name: c, cluster: {server: "https://first:6443", certificate-authority: ca/first.crt, tls-server-name: first.example}}
users:
- {name: u, user: {client-certificate: u.crt, client-key: /abs/u.key, tokenFile: t, exec: {command: ./login, apiVersion: client.authentication.k8s.io/v1beta1}}}
contexts:
- {name: one, context: {cluster: c, user: u, namespace: web}}
`,
);
const SECOND = file(
  "second",
  `
current-context: two
clusters:
- {name: c, cluster: {server: "https://second:6443"}}
- {name: d, cluster: {server: "https://d:6443", proxy-url: "http://proxy:1"}}
users:
- {name: u, user: {token: second}}
- {name: v, user: {token: v, exec: {command: login, apiVersion: client.authentication.k8s.io/v1beta1}}}
contexts:
- {name: one, context: {cluster: d, user: v}}
- {name: two, context: {cluster: d, user: v}}
`,
);

async function select(
  options: Partial<ConnectionOptions> = {},
  env: NodeJS.ProcessEnv = { KUBECONFIG: [FIRST, join(directory, "missing"), SECOND].join(delimiter) },
) {
  return await selectFromKubeconfig({ ...NO_OPTIONS, ...options }, env);
}

test("several files merge as kubectl merges them: the first to name something wins", async () => {
  const { contextName, clusterName, userName, namespace, cluster } = await select();
  assert.deepEqual([contextName, clusterName, userName, namespace, cluster.server], ["one", "c", "u", "web", "https://first:6443"]);
  const two = await select({ context: "two" });
  assert.deepEqual(
    [two.cluster.server, two.cluster["proxy-url"], two.user["token"], two.namespace],
    ["https://d:6443", "http://proxy:1", "v", "default"],
  );
});

test("paths are relative to their own file; a bare command is not a path", async () => {
  const { cluster, user } = await select();
  assert.equal(cluster["certificate-authority"], join(directory, "ca/first.crt"));
  assert.deepEqual(user, {
    "client-certificate": join(directory, "u.crt"),
    "client-key": "/abs/u.key",
    tokenFile: join(directory, "t"),
    exec: { command: join(directory, "login"), apiVersion: "client.authentication.k8s.io/v1beta1" },
  });
  assert.equal(((await select({ context: "two" })).user["exec"] as { command: string }).command, "login");
});

test("--kubeconfig stands alone, and must be there", async () => {
  assert.equal((await select({ kubeconfig: SECOND })).contextName, "two");
  await assert.rejects(select({ kubeconfig: join(directory, "missing") }), {
    reason: "KubeconfigInvalid",
    message: /cannot use the kubeconfig .*missing/,
  });
});

test("flags lie on top, as client-go lays them", async () => {
  const { cluster, user, namespace } = await select({
    server: "https://other",
    namespace: "n",
    token: "t",
    asGroups: ["g"],
    as: "a",
    asUid: "1",
    clientCertificate: "/c",
    clientKey: "/k",
  });
  assert.equal(namespace, "n");
  assert.deepEqual(
    cluster,
    { server: "https://other", "certificate-authority": join(directory, "ca/first.crt") },
    "another server is not the named one",
  );
  assert.deepEqual(
    [user["token"], user["tokenFile"], user["as"], user["as-groups"], user["as-uid"], user["client-certificate"], user["client-key"]],
    ["t", undefined, "a", ["g"], "1", "/c", "/k"],
  );
  assert.deepEqual((await select({ insecure: true })).cluster, {
    server: "https://first:6443",
    "tls-server-name": "first.example",
    "insecure-skip-tls-verify": true,
  });
  assert.equal((await select({ certificateAuthority: "/ca" })).cluster["certificate-authority"], "/ca");
  const mixed = await select({ cluster: "d", user: "v" });
  assert.deepEqual([mixed.cluster.server, mixed.user["token"], mixed.namespace], ["https://d:6443", "v", "web"]);
});

test("names that are not there are named with those that are", async () => {
  await assert.rejects(select({ context: "x" }), {
    reason: "NoSuchContext",
    message: 'context "x" not found in the kubeconfig',
    fix: "use one of: one, two",
  });
  await assert.rejects(select({ cluster: "x" }), { fix: "use one of: c, d" });
  await assert.rejects(select({ user: "x" }), { fix: "use one of: u, v" });
});

test("no kubeconfig, a broken one, an empty one, one of another kind", async () => {
  await assert.rejects(select({}, { HOME: join(directory, "nobody") }), { reason: "NoKubeconfig" });
  await assert.rejects(select({ kubeconfig: file("broken", "a: [") }), { reason: "KubeconfigInvalid" });
  await assert.rejects(select({ kubeconfig: file("list", "- a\n- b") }), { reason: "KubeconfigInvalid", why: "it is not a mapping" });
  await assert.rejects(select({ kubeconfig: directory }), { reason: "KubeconfigInvalid", why: "it is a directory" });
  await assert.rejects(select({ kubeconfig: file("empty", "") }), { reason: "NoKubeconfig" });
  await assert.rejects(select({ kubeconfig: file("odd", "users: [null]\ncontexts: [{name: x}]") }), {
    reason: "NoSuchContext",
  });
  assert.equal((await select({ server: "https://only" }, { HOME: "/nobody" })).cluster.server, "https://only");
});

const PEM = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJkekNDQVIyZ0F3SUJBZ0lCQURBS0JnZ3Foa2pPUFFRREFqQWpN";
const OTHER = `${PEM.slice(0, -8)}AAAAAA==`;

test("long values are what YAML says they are, however they are written", async () => {
  const texts = {
    plain: `clusters:\n- cluster:\n    certificate-authority-data: ${PEM}\n    server: s\n  name: c\nusers:\n- name: u\n  user:\n    client-key-data: ${OTHER}\n`,
    first: `clusters:\n  - cluster: {server: s}\n    name: c\nusers:\n  - user:\n      client-certificate-data:   ${PEM}\n      client-key-data: ${OTHER}\n    name: u\n`,
    windows: `clusters:\r\n- cluster:\r\n    certificate-authority-data: ${PEM}\r\n  name: c\r\n`,
    commented: `clusters:\n- cluster:\n    certificate-authority-data: ${PEM} # of 2026\n  name: c\n`,
    last: `users:\n- name: u\n  user:\n    client-key-data: ${PEM}`,
    folded: `clusters:\n- cluster:\n    certificate-authority-data: >-\n      ${PEM}\n  name: c\n`,
    continued: `clusters:\n- cluster:\n    certificate-authority-data: >-\n      ${PEM}\n      ${PEM}\n    server: s\n  name: c\n`,
    shared: `clusters:\n- cluster: &a\n    certificate-authority-data: ${PEM}\n  name: c\n- cluster: *a\n  name: d\n`,
    twice: `clusters:\n- cluster:\n    certificate-authority-data: ${PEM}\n    certificate-authority-data: ${OTHER}\n  name: c\n`,
    quoted: `users:\n- name: u\n  user:\n    exec:\n      command: x\n      args:\n      - |\n        a-data: ${PEM}\n`,
    alike: `users:\n- name: long-data-0\n  user:\n    client-key-data: ${PEM}\n    token: long-data-0\n`,
    deep: `users:\n- name: u\n  user:\n    auth-provider:\n      name: oidc\n      config:\n        idp-certificate-authority-data: ${PEM}\n`,
  };
  for (const [name, text] of Object.entries(texts)) {
    const { clusters, users } = await readKubeconfig(file(`long-${name}`, text), true);
    const expected = load(text, { json: true }) as Record<string, { name: string; cluster?: object; user?: object }[]>;
    assert.deepEqual(
      clusters.map((one) => [one.name, one.value]),
      (expected["clusters"] ?? []).map((one) => [one.name, one.cluster]),
      name,
    );
    assert.deepEqual(
      users.map((one) => [one.name, one.value]),
      (expected["users"] ?? []).map((one) => [one.name, one.user]),
      name,
    );
  }
  const broken = file("long-broken", `clusters:\n- cluster:\n    certificate-authority-data: ${PEM}\n  name: [\n`);
  await assert.rejects(readKubeconfig(broken, true), { reason: "KubeconfigInvalid", why: /long-broken" \(5:1\)/ });
});
