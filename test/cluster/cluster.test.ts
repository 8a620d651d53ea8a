// What the users of test/cluster rely on. It leaves the cluster as it found it: up, all of it running, with the right to checkpoint.
import "../e2e/apart.ts";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { after } from "node:test";
import {
  ADMIN,
  apply,
  claimCluster,
  cluster,
  clusterTest,
  container,
  COUNT,
  eventually,
  kubectl,
  NETWORK,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  pod,
  run,
  running,
  setUp,
} from "../e2e/harness.ts";

claimCluster();

const SERVER = `${NETWORK}.1`;
const REGISTRY_CA = join(ADMIN, "../pki/ca.crt");
const NODE = "node1";
const OTHER = "other";
const SCRIPT = join(import.meta.dirname, "cluster");
const namespace = ownNamespace("cluster-test");
const COUNTER = `${namespace}/counter/counter`;
const NOBODY = "default/none/none"; // allowed and refused like any other, and harms nobody

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(pod(namespace, "counter", [container("counter", COUNT)], { node: NODE }));
    await running(namespace, "counter");
  });
  after(async () => {
    await cluster("up", "--grant=yes");
    await cluster("criu", NODE, "on");
    await cluster("kubelet", NODE, "start");
    await run(SCRIPT, ["remove", OTHER]);
  });
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

async function ask(method: string, url: string, options: object): Promise<Answer> {
  return await new Promise((done, failed) => {
    const asked = request(url, { method, ...options }, (response) => {
      let body = "";
      response.on("data", (data: Buffer) => (body += data.toString()));
      response.on("end", () => done({ status: response.statusCode, body }));
    });
    asked.on("error", failed);
    asked.end();
  });
}

/** A call of the checkpoint API by the cluster's admin, answered word for word: kubectl does not show the text of a 404. */
async function checkpoint(target: string): Promise<Answer> {
  const [ca, cert, key] = await Promise.all(
    ["ca.crt", "admin.crt", "admin.key"].map(async (name) => await readFile(join(ADMIN, "../pki", name))),
  );
  return await ask("POST", `https://${SERVER}:6443/api/v1/nodes/${NODE}/proxy/checkpoint/${target}`, { ca, cert, key, agent: false });
}

/** The counter's container and how often it was restarted. */
async function counter(): Promise<string> {
  const { stdout } = await kubectl(
    "get",
    "pod",
    "counter",
    "-n",
    namespace,
    "-o",
    "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}",
  );
  return stdout;
}

async function processes(): Promise<string[]> {
  return (await cluster("status")).match(/process \d+/g) ?? [];
}

clusterTest("up where it is up changes nothing, and says how to use it", async () => {
  const before = await processes();
  assert.match(await cluster("up"), /export KUBECONFIG=/);
  assert.deepEqual(await processes(), before);
});

clusterTest("a checkpoint leaves a file for root alone on the node", async () => {
  const { status, body } = await checkpoint(COUNTER);
  assert.equal(status, 200, body);
  const { items } = JSON.parse(body) as { items: [string] };
  assert.match(await onNode(NODE, "stat", "-c", "%a %U %s", items[0]), /^600 root [1-9]\d{4,}\n$/);
});

for (const service of ["kubelet", "containerd"]) {
  for (const end of ["kill", "stop"]) {
    clusterTest(
      `a container runs on while its ${service} is away (${end})`,
      async () => {
        const before = await counter();
        await cluster(service, NODE, end);
        await cluster(service, NODE, "start");
        assert.equal((await checkpoint(COUNTER)).status, 200);
        assert.equal(await counter(), before);
      },
      { full: true },
    );
  }
}

clusterTest(
  "the apiserver, killed, comes back with all it knew",
  async () => {
    const before = await counter();
    await cluster("apiserver", "kill");
    assert.notEqual((await kubectl("version")).code, 0);
    await cluster("apiserver", "start");
    assert.equal(await counter(), before);
    assert.equal((await checkpoint(COUNTER)).status, 200);
  },
  { full: true },
);

clusterTest(
  "a kubelet without the feature gate",
  async () => {
    await cluster("kubelet", NODE, "stop");
    await cluster("kubelet", NODE, "start", "--checkpoint-gate=off");
    assert.deepEqual(await checkpoint(NOBODY), { status: 404, body: "404 page not found\n" });
    await cluster("kubelet", NODE, "start");
    assert.deepEqual(await checkpoint(NOBODY), { status: 404, body: "pod does not exist" });
  },
  { full: true },
);

clusterTest(
  "an apiserver without the right",
  async () => {
    await cluster("grant", "no");
    const { status, body } = await checkpoint(NOBODY);
    assert.equal(status, 403);
    assert.match(
      body,
      /^Forbidden \(user=kube-apiserver-kubelet-client, verb=create, resource=nodes, subresource\(s\)=\[checkpoint\]\)\s*$/,
    );
    await cluster("grant", "yes");
    assert.equal((await checkpoint(NOBODY)).body, "pod does not exist");
  },
  { full: true },
);

clusterTest("a node without CRIU", async () => {
  await cluster("criu", NODE, "off");
  const { status, body } = await checkpoint(COUNTER);
  assert.equal(status, 500);
  assert.match(body, /exec: "criu": executable file not found in \$PATH/);
  await cluster("criu", NODE, "on");
  assert.equal((await checkpoint(COUNTER)).status, 200);
});

clusterTest("users: with groups, with no rights, expired", async () => {
  const getNodes = async (...options: string[]) => {
    const config = (await cluster("user", ...options)).trim();
    return await run("kubectl", ["--kubeconfig", config, "get", "nodes"]);
  };
  assert.equal((await getNodes("root", "--group", "system:masters")).code, 0);
  assert.match((await getNodes("nobody")).stderr, /User "nobody" cannot list resource "nodes"/);
  assert.match((await getNodes("late", "--group=system:masters", "--expired")).stderr, /Unauthorized/);
});

clusterTest("a laptop reaches the apiserver, and not faster than its link", async () => {
  const nodes = await cluster("laptop", "--", "kubectl", "get", "nodes", "-o", "name");
  assert.match(nodes, /node\/node1\n/);
  // 4 MiB through 16 Mbit/s: 2 s, of which the first 256 KiB are free.
  const began = Date.now();
  await cluster("laptop", "--rate=16mbit", "--", "kubectl", "exec", "-n", namespace, "counter", "--", "head", "-c", "4194304", "/dev/zero");
  assert.ok(Date.now() - began > 1500, `${Date.now() - began} ms`);
});

clusterTest("commands on a node and laptop end with their own exit code", async () => {
  for (const place of [["node-shell", NODE], ["laptop"]]) {
    assert.equal((await run(SCRIPT, [...place, "--", "sh", "-c", "exit 7"])).code, 7);
  }
});

clusterTest("the second registry wants its password", async () => {
  const ca = await readFile(REGISTRY_CA);
  const status = async (options: object) => (await ask("GET", `https://${SERVER}:5001/v2/`, { ca, agent: false, ...options })).status;
  assert.equal(await status({}), 401);
  assert.equal(await status({ auth: "test:wrong" }), 401);
  assert.equal(await status({ auth: "test:test-password" }), 200);
});

clusterTest("images run: zstd and lzop in tools, neither httpd nor gzip in plain", async () => {
  const image = (name: string) => ({ name, image: `${SERVER}:5000/${name}:1`, command: ["sh", "-c", "sleep 1000"] });
  await apply(pod(namespace, "images", [image("tools"), image("plain")]));
  await running(namespace, "images");
  const inside = async (name: string, script: string) =>
    (await kubectl("exec", "-n", namespace, "images", "-c", name, "--", "sh", "-c", script)).stdout;
  assert.equal(await inside("tools", "echo hello | zstd | lzop | lzop -d | zstd -d"), "hello\n");
  assert.match(
    await inside("plain", "printf '' | sha256sum; for program in httpd gzip; do command -v $program; done; true"),
    /^e3b0c442\S+  -\n$/,
  );
});

clusterTest("the audit log has each stage of a checkpoint call", async () => {
  const target = `${namespace}/audited/audited`;
  await checkpoint(target);
  const lines = async () =>
    (await readFile(join(ADMIN, "../log/audit.log"), "utf8")).split("\n").filter((line) => line.includes(`/proxy/checkpoint/${target}`));
  await eventually(
    async () => (await lines()).some((line) => line.includes('"ResponseComplete"')),
    "the end of the call in the audit log",
    5,
  );
  assert.match((await lines())[0] ?? "", /"stage":"RequestReceived"/);
});

clusterTest(
  "a node with another runtime, added to a running cluster: its options are changed, and it goes with all that was on it",
  async () => {
    const criu = async () => (await run(SCRIPT, ["node-shell", OTHER, "--", "criu", "--version"])).stdout.split("\n")[0];
    await cluster("up", "--node", `${OTHER}=containerd-1.7+criu-3.17`);
    const { stdout: runtime } = await kubectl("get", "node", OTHER, "-o", "jsonpath={.status.nodeInfo.containerRuntimeVersion}");
    assert.match(runtime, /^containerd:\/\/1\.7\./);
    assert.match((await criu()) ?? "", /^Version: 3\.17/);
    await apply(pod(namespace, "there", [container("there", COUNT)], { node: OTHER }));
    await running(namespace, "there");
    for (const [spec, version] of [
      ["containerd-1.7+criu-3.15", "Version: 3.15"],
      ["containerd-1.7+no-criu", ""],
    ] as const) {
      await cluster("configure", `${OTHER}=${spec}`);
      assert.equal(await criu(), version);
    }
    assert.equal((await kubectl("exec", "-n", namespace, "there", "--", "true")).code, 0, "its containers run on");
    const { code, stderr } = await run(SCRIPT, ["up", "--node", `${OTHER}=crio-1.36`]);
    assert.notEqual(code, 0);
    assert.match(stderr, /other is containerd-1\.7\+no-criu/);
    await cluster("remove", OTHER);
    assert.notEqual((await kubectl("get", "node", OTHER)).code, 0);
    assert.notEqual((await kubectl("get", "pod", "there", "-n", namespace)).code, 0);
    assert.doesNotMatch(await cluster("status"), /other/);
  },
  { full: true },
);
