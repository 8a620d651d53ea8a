// Pods that move from node1 to node2 and go on where they were: a counter, redis with data, a Python process that grows.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { V1Pod, V1PodList } from "@kubernetes/client-node";
import type { Restoration } from "../../src/model/restoration.ts";
import {
  ADMIN,
  apply,
  APPS,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  counting,
  eventually,
  getJson,
  kubectl,
  onNode,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  run,
  running,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

const namespace = ownNamespace("e2e-move");
const PRIVATE = REGISTRY.replace(/:\d+$/, ":5001");
const RUN = `${process.pid}-${Date.now()}`;
// Other files' helpers may run beside these.
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
const home = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
after(() => rmSync(home, { recursive: true }));

const COUNTER = `t=$(cat /proc/sys/kernel/random/uuid); ${counting("$t $i")}`;
/** Grows a list by a chain of hashes: only whoever has all of it in memory can go on with it. */
const GROWING = `
import hashlib, os, time
token = os.urandom(8).hex()
chain = [hashlib.sha256(token.encode()).hexdigest()]
while True:
    for _ in range(1000):
        chain.append(hashlib.sha256((chain[-1] + chain[len(chain) // 2]).encode()).hexdigest())
    print(token, len(chain), hashlib.sha256("".join(chain).encode()).hexdigest(), flush=True)
    time.sleep(0.3)
`;

shareCluster();

async function move(name: string, ...args: string[]) {
  return await plugin(
    ["move", name, "--to", "node2", "--image", `${REGISTRY}/e2e/${name}-${RUN}:1`, "--ca-file", CA, "-n", namespace, ...args],
    { env },
  );
}

async function moved(name: string, ...args: string[]): Promise<Restoration> {
  const { code, stdout, stderr } = await move(name, "--yes", "-o", "json", ...args);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Restoration;
}

async function logOf(name: string): Promise<string[]> {
  return (await kubectl("logs", "-n", namespace, name)).stdout.trim().split("\n");
}

async function exists(name: string): Promise<boolean> {
  return (await kubectl("get", "pod", name, "-n", namespace)).code === 0;
}

/** That the scheduler is told to take. */
function nodeOf(pod: V1Pod | undefined): string | undefined {
  const required = pod?.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required?.nodeSelectorTerms[0]?.matchFields?.[0]?.values?.[0];
}

async function archivesOf(name: string): Promise<string> {
  return await onNode("node1", "sh", "-c", `ls /var/lib/kubelet/checkpoints | grep 'checkpoint-${name}_${namespace}' || true`);
}

clusterTest("a counter: with its labels and probes, counting on; nothing is left of the original, its archive, or helpers", async () => {
  const probes = { readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1 } };
  await apply(
    pod(namespace, "counter", [container("counter", COUNTER, probes)], {
      node: "node1",
      labels: { app: "counter" },
      annotations: { note: "kept" },
    }),
  );
  await running(namespace, "counter");
  await eventually(async () => (await logOf("counter")).length > 5, "a few counts");
  const [first = ""] = await logOf("counter");
  const token = first.split(" ")[0];
  const { pod: name, node, restored, evidence, original, image } = await moved("counter");
  assert.deepEqual([name, node, restored, evidence.length], ["counter-node2", "node2", true, 2]);
  assert.equal(original?.pod, "counter");
  assert.ok(Date.parse(original.deletedAt ?? "") > Date.parse(original.frozenAt));
  assert.equal(await exists("counter"), false);
  const { metadata, spec } = await getJson<V1Pod>("pod", name, "-n", namespace);
  assert.equal(metadata?.labels?.["app"], "counter");
  assert.equal(metadata.annotations?.["note"], "kept");
  assert.ok(spec?.containers[0]?.readinessProbe);
  assert.equal(spec.containers[0].image, image);
  const before = (await logOf(name)).length;
  await eventually(async () => (await logOf(name)).length > before, "it counts on");
  const lines = (await logOf(name)).map((line) => line.split(" "));
  assert.ok(
    lines.every(([told]) => told === token),
    "one process all along",
  );
  const counts = [...new Set(lines.map(([, count]) => Number(count)))];
  assert.deepEqual(
    counts,
    counts.map((_, index) => index + 1),
  );
  assert.equal(await archivesOf("counter"), "");
  const helpers = await getJson<V1PodList>("pods,jobs", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint");
  assert.deepEqual(helpers.items, []);

  const back = await plugin(
    [
      "move",
      name,
      "--to",
      "node1",
      "--image",
      `${REGISTRY}/e2e/counter-back-${RUN}:1`,
      "--ca-file",
      CA,
      "-n",
      namespace,
      "--yes",
      "-o",
      "json",
    ],
    { env },
  );
  assert.equal(back.code, 0, back.stderr);
  const returned = JSON.parse(back.stdout) as Restoration;
  assert.deepEqual([returned.pod, returned.node], ["counter-node1", "node1"], "of the first name, not of the second");
  assert.equal((await logOf("counter-node1"))[0], first);
});

clusterTest("redis with data: clients that connect anew read what was written, and write on", async () => {
  const serve = { image: APPS, command: ["redis-server", "--save", "", "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no"] };
  await apply(pod(namespace, "redis", [{ name: "redis", ...serve }], { node: "node1" }));
  await running(namespace, "redis");
  const redis = async (name: string, ...words: string[]): Promise<string> =>
    (await kubectl("exec", "-n", namespace, name, "--", "redis-cli", ...words)).stdout.trim();
  await eventually(async () => (await redis("redis", "ping")) === "PONG", "redis answers");
  assert.equal(await redis("redis", "set", "session:42", "secret-cookie"), "OK");
  await redis("redis", "eval", "for i = 1, 20000 do redis.call('rpush', 'queue', i .. ':' .. string.rep('x', i % 97)) end return 1", "0");
  const digest = await redis("redis", "debug", "digest-value", "queue", "session:42");
  const id = /run_id:(\w+)/.exec(await redis("redis", "info", "server"))?.[1];
  const { pod: name } = await moved("redis");
  assert.equal(await redis(name, "get", "session:42"), "secret-cookie");
  assert.equal(await redis(name, "llen", "queue"), "20000");
  assert.equal(await redis(name, "debug", "digest-value", "queue", "session:42"), digest);
  assert.equal(/run_id:(\w+)/.exec(await redis(name, "info", "server"))?.[1], id, "the same server");
  assert.equal(await redis(name, "rpush", "queue", "after the move"), "20001");
});

clusterTest(
  "a Python process with a growing structure goes on with all of it",
  async () => {
    await apply(pod(namespace, "grower", [{ name: "python", image: APPS, command: ["python3", "-c", GROWING] }], { node: "node1" }));
    await running(namespace, "grower");
    await eventually(async () => (await logOf("grower")).length > 5, "a few rounds");
    const [first = ""] = await logOf("grower");
    const { pod: name } = await moved("grower");
    const before = (await logOf(name)).length;
    await eventually(async () => (await logOf(name)).length > before + 2, "it grows on");
    const lines = [...new Set(await logOf(name))].map((line) => line.split(" "));
    assert.ok(
      lines.every(([token]) => token === first.split(" ")[0]),
      "one process all along",
    );
    assert.deepEqual(
      lines.map(([, length]) => Number(length)),
      lines.map((_, index) => 1001 + 1000 * index),
      "no round is missing, none was done anew",
    );
  },
  { full: true },
);

clusterTest("refused without --force: what a move would lose, all of it at once", async () => {
  const claims = [
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: namespace },
      spec: {
        capacity: { storage: "1Mi" },
        accessModes: ["ReadWriteOnce"],
        hostPath: { path: "/tmp/e2e-move" },
        claimRef: { namespace, name: "once" },
        storageClassName: "none",
      },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "once", namespace },
      spec: {
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: "1Mi" } },
        storageClassName: "none",
        volumeName: namespace,
      },
    },
  ];
  const mounts = {
    volumeMounts: [
      { name: "data", mountPath: "/data" },
      { name: "scratch", mountPath: "/scratch" },
      { name: "empty", mountPath: "/empty" },
    ],
  };
  const volumes = [
    { name: "data", persistentVolumeClaim: { claimName: "once" } },
    { name: "scratch", emptyDir: {} },
    { name: "empty", emptyDir: {} },
  ];
  await apply(
    ...claims,
    pod(namespace, "bound", [container("a", `echo x >/scratch/file; ${COUNT}`, mounts), container("b", COUNT)], {
      node: "node1",
      annotations: { "kubectl.kubernetes.io/default-container": "a" },
      spec: { volumes },
    }),
  );
  const template = {
    metadata: { labels: { app: "deployed" } },
    spec: { nodeName: "node1", terminationGracePeriodSeconds: 0, containers: [container("c", COUNT)] },
  };
  await apply({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "deployed", namespace },
    spec: { replicas: 1, selector: { matchLabels: template.metadata.labels }, template },
  });
  await running(namespace, "bound");
  const { code, stderr } = await move("bound", "--yes");
  assert.equal(code, 1);
  assert.match(stderr, /^error: pod\/bound cannot be moved without a loss; nothing was done\n/);
  for (const said of [
    /only container a is moved with its memory; started from the beginning: b/,
    /its volume once is ReadWriteOnce/,
    /its emptyDir scratch has files in it/,
    /fix: rerun with --force to move it although this is lost/,
  ])
    assert.match(stderr, said);
  assert.ok(!stderr.includes("emptyDir empty"));
  const owned = (await getJson<V1PodList>("pods", "-n", namespace, "-l", "app=deployed")).items[0]?.metadata?.name ?? "";
  await eventually(
    async () => (await kubectl("get", "pod", owned, "-n", namespace, "-o", "jsonpath={.status.phase}")).stdout === "Running",
    "the replica",
  );
  assert.match((await move(owned, "--yes")).stderr, /it belongs to ReplicaSet\/deployed, which replaces it/);
  assert.equal(await archivesOf("bound"), "");
  await kubectl("delete", "pv", namespace, "--wait=false");
});

clusterTest(
  "an image in the repository of its base image: the older log proves it",
  async () => {
    await apply(pod(namespace, "beside", [container("beside", COUNTER)], { node: "node1" }));
    await running(namespace, "beside");
    await eventually(async () => (await logOf("beside")).length > 5, "a few counts");
    const { evidence } = await moved("beside", "--image", BUSYBOX.replace(/:1$/, `:e2e-move-${RUN}`));
    assert.equal(evidence.length, 1);
    assert.match(evidence[0] ?? "", /^its log begins at .*, before the container was started at /);
  },
  { full: true },
);

clusterTest(
  "--dry-run shows the helpers and the new pod, and does nothing; kubectl takes them; what stands against it still does",
  async (t) => {
    await apply(pod(namespace, "dry", [container("dry", COUNT)], { node: "node1", labels: { app: "dry" } }));
    await running(namespace, "dry");
    const client = await move("dry", "--dry-run=client", "-o", "json");
    assert.equal(client.code, 0, client.stderr);
    const { kind, items } = JSON.parse(client.stdout) as V1PodList;
    assert.deepEqual([kind, ...items.map((item) => item.kind)], ["List", "Job", "Pod", "Job"]);
    const [, made] = items;
    assert.deepEqual(
      [made?.metadata?.name, made?.metadata?.labels?.["app"], nodeOf(made), made?.spec?.containers[0]?.image],
      ["dry-node2", undefined, "node2", `${REGISTRY}/e2e/dry-${RUN}:1`],
    );
    const manifest = join(await temporaryDirectory(t), "move.json");
    writeFileSync(manifest, client.stdout);
    const taken = await kubectl("create", "--dry-run=server", "-f", manifest);
    assert.equal(taken.code, 0, taken.stderr);
    for (const [how, said] of [
      ["client", "dry run"],
      ["server", "server dry run"],
    ]) {
      const { code, stdout, stderr } = await move("dry", `--dry-run=${how}`);
      assert.equal(code, 0, stderr);
      const lines = stdout.trim().split("\n");
      assert.equal(lines.length, 3);
      assert.equal(lines[1], `pod/dry-node2 created in namespace e2e-move (${said})`);
      for (const line of [lines[0], lines[2]])
        assert.match(line ?? "", new RegExp(`^job\\.batch/kubectl-checkpoint-\\w+ created in namespace e2e-move \\(${said}\\)$`));
    }
    const server = await move("dry", "--dry-run=server", "-o", "json");
    assert.ok((JSON.parse(server.stdout) as V1PodList).items[1]?.metadata?.uid);
    await apply(pod(namespace, "two", [container("a", COUNT), container("b", COUNT)], { node: "node1" }));
    await running(namespace, "two");
    assert.match((await move("two", "-c", "a", "--dry-run=client")).stderr, /cannot be moved without a loss/);
    assert.equal((await move("two", "-c", "a", "--dry-run=client", "--force")).code, 0);
    assert.deepEqual([await exists("dry-node2"), await archivesOf("dry"), await archivesOf("two")], [false, "", ""]);
    assert.equal((await getJson<V1PodList>("jobs", "-n", namespace)).items.length, 0);
  },
);

clusterTest("what is wrong is told before the freeze: no yes, the same node, a registry that does not let in", async () => {
  await apply(pod(namespace, "still", [container("still", COUNT)], { node: "node1" }));
  await running(namespace, "still");
  const unasked = await move("still");
  assert.equal(unasked.code, 2);
  assert.match(unasked.stderr, /this would push all memory of pod\/still to .*, and delete the pod/);
  const same = await plugin(["move", "still", "--to", "node1", "--image", `${REGISTRY}/e2e/x:1`, "-n", namespace, "--yes"], { env });
  assert.deepEqual([same.code, /is already on node node1/.test(same.stderr)], [2, true]);
  const config = join(home, "wrong.json");
  writeFileSync(config, JSON.stringify({ auths: { [PRIVATE]: { auth: Buffer.from("test:wrong").toString("base64") } } }));
  const wrong = await plugin(
    [
      "move",
      "still",
      "--to",
      "node2",
      "--image",
      `${PRIVATE}/e2e/x:1`,
      "-n",
      namespace,
      "--yes",
      "--ca-file",
      CA,
      "--registry-config",
      config,
    ],
    { env },
  );
  assert.match(wrong.stderr, /does not accept the login of test/);
  assert.equal(await archivesOf("still"), "", "nothing was frozen");
});

clusterTest("where it does not run over there, the original stays, and nothing else does", async () => {
  await apply(pod(namespace, "stays", [container("stays", COUNT)], { node: "node1" }));
  await running(namespace, "stays");
  const config = join(home, "right.json");
  writeFileSync(config, JSON.stringify({ auths: { [PRIVATE]: { auth: Buffer.from("test:test-password").toString("base64") } } }));
  const { code, stderr } = await plugin(
    [
      "move",
      "stays",
      "--to",
      "node2",
      "--image",
      `${PRIVATE}/e2e/stays-${RUN}:1`,
      "-n",
      namespace,
      "--yes",
      "--ca-file",
      CA,
      "--registry-config",
      config,
    ],
    { env },
  );
  assert.equal(code, 1);
  assert.match(stderr, /error: node2 is not allowed to pull the checkpoint image/);
  assert.match(stderr, /warning: pod\/stays-node2 was deleted from namespace e2e-move\n/);
  assert.match(stderr, /warning: the memory dump \S+\/e2e\/stays-\S+@sha256:\S+ was deleted from its registry\n/);
  assert.match(stderr, /warning: pod\/stays was not moved: it is running on node1\n/);
  await eventually(async () => !(await exists("stays-node2")), "the new pod is gone");
  const lines = (await logOf("stays")).length;
  await eventually(async () => (await logOf("stays")).length > lines, "the original runs on");
  assert.equal((await getJson<V1Pod>("pod", "stays", "-n", namespace)).status?.containerStatuses?.[0]?.restartCount, 0);
  assert.equal(await archivesOf("stays"), "");
});

clusterTest("every command of docs/move-a-container.md, as it stands there", async (t) => {
  const directory = await temporaryDirectory(t);
  const kubeconfig = join(directory, "kubeconfig");
  const setup = `cp '${ADMIN}' '${kubeconfig}' && KUBECONFIG='${kubeconfig}' kubectl config set-context --current --namespace=${namespace}`;
  assert.equal((await run("sh", ["-c", setup])).code, 0);
  const page = readFileSync(join(import.meta.dirname, "../../docs/move-a-container.md"), "utf8");
  const blocks = [...page.matchAll(/^```console\n([^]*?)^```$/gm)].map(([, text = ""]) => text);
  const commands = blocks.flatMap((text) => text.split("\n").flatMap((line) => (line.startsWith("$ ") ? [line.slice(2)] : [])));
  const script = commands.map((line) =>
    line.replaceAll("registry.example/busybox:1", BUSYBOX).replaceAll("registry.example/", `${REGISTRY}/docs-${RUN}/`),
  );
  const options = { env: { ...env, KUBECONFIG: kubeconfig, NODE_EXTRA_CA_CERTS: CA, HOME: directory }, cwd: directory };
  const { code, stdout, stderr } = await run("sh", ["-exc", script.join("\n")], options);
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.ok(commands.length >= 10);
});
