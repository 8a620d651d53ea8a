// Every way to reach the API server, on the real one.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { join } from "node:path";

import { load } from "js-yaml";
import {
  ADMIN,
  apply,
  clusterTest,
  container,
  COUNT,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pluginCommand,
  pod,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-connection");
const POD = ["counter", "--prove", "0", "-n", namespace, "-o", "name"];

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: { readonly server: string; readonly "certificate-authority-data": string } }];
  readonly users: readonly [{ readonly user: { readonly "client-certificate-data": string; readonly "client-key-data": string } }];
}

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    const binding = {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "e2e-connection" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: "default", namespace }],
    };
    await apply(pod(namespace, "counter", [container("counter", COUNT)]), binding);
    await running(namespace, "counter");
  });
}

function admin() {
  const { clusters, users } = load(readFileSync(ADMIN, "utf8")) as Kubeconfig;
  return { ...clusters[0].cluster, ...users[0].user };
}

/** The admin's certificates as files, and flags that need no kubeconfig. */
async function files(t: Parameters<typeof temporaryDirectory>[0]) {
  const directory = await temporaryDirectory(t);
  const { server, ...data } = admin();
  for (const [name, content] of Object.entries(data)) writeFileSync(join(directory, name), Buffer.from(content, "base64"));
  const file = (name: string): string => join(directory, `${name}-data`);
  return {
    directory,
    ca: ["--certificate-authority", file("certificate-authority")],
    certificate: ["--client-certificate", file("client-certificate"), "--client-key", file("client-key")],
    server: ["--server", server],
    nothing: { KUBECONFIG: join(directory, "none"), HOME: directory },
  };
}

async function works(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { code, stdout, stderr } = await plugin([...POD, ...args], { env });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^node\d:/);
}

clusterTest("flags alone: server, CA, client certificate; token; without checking the certificate; another server name", async (t) => {
  const { ca, certificate, server, nothing } = await files(t);
  await works([...server, ...ca, ...certificate], nothing);
  const token = ["--token", (await kubectl("create", "token", "default", "-n", namespace)).stdout.trim()];
  await works([...server, ...ca, ...token], nothing);
  await works([...server, "--insecure-skip-tls-verify", ...token], nothing);
  await works([...server, ...ca, "--tls-server-name", "kubernetes.default.svc", ...token], nothing);
});

clusterTest("contexts, clusters and users of a kubeconfig; the namespace of the context", async (t) => {
  const { directory, nothing } = await files(t);
  const { server, "certificate-authority-data": ca, ...user } = admin();
  const kubeconfig = join(directory, "config");
  const cluster = { server, "certificate-authority-data": ca };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      "current-context": "broken",
      clusters: [
        { name: "good", cluster },
        { name: "bad", cluster: { server: "https://127.0.0.1:1" } },
      ],
      users: [
        { name: "admin", user },
        { name: "nobody", user: {} },
      ],
      contexts: [
        { name: "broken", context: { cluster: "bad", user: "nobody" } },
        { name: "whole", context: { cluster: "good", user: "admin", namespace } },
      ],
    }),
  );
  await works(["--kubeconfig", kubeconfig, "--context", "whole"], nothing);
  await works(["--kubeconfig", kubeconfig, "--cluster", "good", "--user", "admin"], nothing);
  const { code, stdout } = await plugin(["--prove", "0", "counter", "-o", "name", "--context", "whole"], {
    env: { ...nothing, KUBECONFIG: `${join(directory, "missing")}:${kubeconfig}` },
  });
  assert.deepEqual([code, stdout.startsWith("node")], [0, true]);
});

clusterTest("through an HTTP proxy, and not where NO_PROXY says so", async (t) => {
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on("connect", (request, client, head) => {
    asked.push(request.url ?? "");
    const [host = "", port] = (request.url ?? "").split(":");
    const upstream = connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  await works([], { HTTPS_PROXY: url });
  const { host } = new URL(admin().server);
  assert.ok(asked.length > 0 && asked.every((target) => target === host));
  const before = asked.length;
  await works([], { HTTPS_PROXY: url, NO_PROXY: "10.0.0.0/8" });
  assert.equal(asked.length, before);
});

clusterTest("inside a pod: the service account, its CA and its namespace", async (t) => {
  const { directory, nothing } = await files(t);
  const token = (await kubectl("create", "token", "default", "-n", namespace)).stdout;
  writeFileSync(join(directory, "token"), token);
  writeFileSync(join(directory, "namespace"), namespace);
  writeFileSync(join(directory, "ca.crt"), Buffer.from(admin()["certificate-authority-data"], "base64"));
  const { hostname, port } = new URL(admin().server);
  const account = "/var/run/secrets/kubernetes.io/serviceaccount";
  const command = pluginCommand().join(" ");
  const script = `mkdir -p ${account} && mount --bind ${directory} ${account} && exec ${command} counter -o name`;
  const { code, stdout, stderr } = await run("unshare", ["-m", "sh", "-c", script], {
    env: { ...nothing, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^node\d:/);
});

clusterTest("-v=6 logs each request, -v=8 its headers, with the credentials masked", async (t) => {
  const { ca, server, nothing } = await files(t);
  const token = (await kubectl("create", "token", "default", "-n", namespace)).stdout.trim();
  const flags = [...server, ...ca, "--token", token];
  const six = await plugin([...POD, ...flags, "-v=6"], { env: nothing });
  assert.match(
    six.stderr,
    new RegExp(
      `^I\\d{4} \\d\\d:\\d\\d:\\d\\d\\.\\d{6} "Response" verb="GET" url="https:\\S+/api/v1/namespaces/${namespace}/pods/counter" status="200 OK" milliseconds=\\d+$`,
      "m",
    ),
  );
  assert.match(six.stderr, /verb="POST" url="\S+\/proxy\/checkpoint\/\S+" status="200 OK"/);
  const eight = await plugin([...POD, ...flags, "-v", "8"], { env: nothing });
  assert.match(eight.stderr, /^\tauthorization: Bearer <masked>$/m);
  assert.match(eight.stderr, /^"?I?.*"Request" verb="POST"/m);
  for (const { stderr, stdout } of [six, eight]) assert.ok(!stderr.includes(token) && !stdout.includes(token), "the token is nowhere");
});
