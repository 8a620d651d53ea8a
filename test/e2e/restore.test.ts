// Containers restored on the real cluster, by content; and every way in which it does not work, explained.
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { V1NetworkPolicy, V1Pod } from "@kubernetes/client-node";
import type { CheckpointList } from "../../src/model/documents.ts";
import type { Restoration } from "../../src/model/restoration.ts";
import {
  apply,
  BUSYBOX,
  cluster,
  clusterTest,
  container,
  counting,
  eventually,
  getJson,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

shareCluster();

const namespace = ownNamespace("e2e-restore");
const ARCHIVES = join(import.meta.dirname, "../data/archives");
const PRIVATE = REGISTRY.replace(/:\d+$/, ":5001");
const RUN = `${process.pid}-${Date.now()}`;
/** What the counter prints besides its count: another one whenever it is started anew. */
const COUNTER = `t=$(cat /proc/sys/kernel/random/uuid); ${counting("$t $i")}`;
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
const directory = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
let file = "";
let token = "";

after(() => rmSync(directory, { recursive: true }));
if (NO_CLUSTER === undefined) {
  setUp(async () => {
    const spec = { volumes: [{ name: "scratch", emptyDir: {} }], terminationGracePeriodSeconds: 0 };
    const mounts = { volumeMounts: [{ name: "scratch", mountPath: "/scratch" }], ports: [{ containerPort: 80, hostPort: 18_080 }] };
    const labels = { app: "counter" };
    await apply(pod(namespace, "counter", [container("counter", COUNTER, mounts)], { node: "node1", labels, spec }));
    await running(namespace, "counter");
    await eventually(async () => (await counted("counter")).count > 5, "a few counts");
    file = join(
      await temporaryDirectory({ after: (clean: () => Promise<void>) => process.once("exit", () => void clean()) } as never),
      "counter.tar",
    );
    const { code, stderr } = await plugin(["--prove", "0", "counter", "-n", namespace, `--copy=${file}`], { env });
    assert.equal(code, 0, stderr);
    ({ token } = await counted("counter"));
  });
}

/** The last line of a counter. */
async function counted(name: string): Promise<{ token: string; count: number }> {
  const { stdout } = await kubectl("logs", "-n", namespace, name, "--tail=1");
  const [told = "", count] = stdout.trim().split(" ");
  return { token: told, count: Number(count ?? 0) };
}

async function restore(...args: string[]) {
  return await plugin(["restore", ...args, "-n", namespace, "--ca-file", CA], { env });
}

async function gone(...names: string[]): Promise<void> {
  await kubectl("delete", "pod", ...names, "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found");
}

for (const compression of ["none", "gzip", "zstd"]) {
  clusterTest(
    `a ${compression} layer on the other node: it counts on where it was, and that is proved`,
    async () => {
      const reference = `${REGISTRY}/e2e/restore-${compression}-${RUN}:1`;
      const pushed = await plugin(["image", file, reference, "--push", "--yes", "--ca-file", CA, "--compress", compression]);
      assert.equal(pushed.code, 0, pushed.stderr);
      const { code, stdout, stderr } = await restore(
        "--image",
        reference,
        "--node",
        "node2",
        "--name",
        `from-${compression}`,
        "-o",
        "json",
      );
      assert.equal(code, 0, stderr);
      const { node, restored, evidence, image } = JSON.parse(stdout) as Restoration;
      assert.deepEqual([node, restored, evidence.length], ["node2", true, 2]);
      assert.match(image, /@sha256:[0-9a-f]{64}$/);
      const first = await counted(`from-${compression}`);
      assert.equal(first.token, token, "the same process");
      await eventually(async () => (await counted(`from-${compression}`)).count > first.count, "it counts on");
      const { stdout: log } = await kubectl("logs", "-n", namespace, `from-${compression}`);
      // The log is copied a moment after the freeze: what the original said in it comes twice.
      const counts = [
        ...new Set(
          log
            .trim()
            .split("\n")
            .map((line) => Number(line.split(" ")[1])),
        ),
      ];
      assert.deepEqual(
        counts,
        counts.map((_, index) => index + 1),
        "no count is missing",
      );
      await gone(`from-${compression}`);
    },
    { full: compression !== "none" },
  );
}

clusterTest(
  "FILE is pushed where the registry lacks it; labels and host ports are left out, with a word; the original runs on",
  async () => {
    const reference = `${REGISTRY}/e2e/restore-file-${RUN}:1`;
    const unasked = await restore(file, "--image", reference, "--node", "node2");
    assert.equal(unasked.code, 2, "a first push is confirmed");
    const { code, stdout, stderr } = await restore(file, "--image", reference, "--node", "node2", "--yes");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^pod\/counter-restored in namespace e2e-restore: container counter restored on node2 in \d+\.\ds\n$/);
    for (const said of [
      /scratch \(emptyDir\) is empty/,
      /host ports of container counter are not kept \(18080\)/,
      /the container was restored: the container runs .*busybox:1/,
      /each restart of the container restores the checkpoint again/,
    ]) {
      assert.match(stderr, said);
    }
    const { metadata, spec } = await getJson<V1Pod>("pod", "counter-restored", "-n", namespace);
    assert.equal(metadata?.labels?.["app"], undefined);
    assert.equal(spec?.containers[0]?.ports?.[0]?.hostPort, undefined);
    const again = await restore(file, "--image", reference, "--node", "node2");
    assert.equal(again.code, 1);
    assert.match(
      again.stderr,
      /error: pod\/counter-restored already exists in namespace e2e-restore\n {2}fix: give another name: --name NAME/,
    );
    const before = (await counted("counter")).count;
    await eventually(async () => (await counted("counter")).count > before, "the original counts on");
    await gone("counter-restored");
  },
);

clusterTest("isolated: no token, no traffic, the policy goes with the pod", async () => {
  const reference = `${REGISTRY}/e2e/restore-none-${RUN}:1`;
  const { code, stderr } = await restore("--image", reference, "--isolated", "--name", "suspect");
  assert.equal(code, 0, stderr);
  const { spec } = await getJson<V1Pod>("pod", "suspect", "-n", namespace);
  assert.equal(spec?.automountServiceAccountToken, false);
  assert.ok(!JSON.stringify(spec.volumes).includes("serviceAccountToken"));
  const policy = await getJson<V1NetworkPolicy>("networkpolicy", "suspect", "-n", namespace);
  assert.deepEqual(policy.spec?.policyTypes, ["Ingress", "Egress"]);
  assert.equal(policy.metadata?.ownerReferences?.[0]?.kind, "Pod");
  const listed = await kubectl("exec", "suspect", "-n", namespace, "--", "ls", "-A", "/var/run/secrets/kubernetes.io/serviceaccount");
  assert.deepEqual([listed.code, listed.stdout], [0, ""]);
  await gone("suspect");
  await eventually(async () => (await kubectl("get", "networkpolicy", "suspect", "-n", namespace)).code !== 0, "the policy is gone too");
});

clusterTest("without the record: what the archive holds, and the gaps by name", async (t) => {
  const alone = join(await temporaryDirectory(t), "alone.tar");
  copyFileSync(file, alone);
  const { code, stderr } = await restore(
    alone,
    "--image",
    `${REGISTRY}/e2e/restore-alone-${RUN}:1`,
    "--node",
    "node2",
    "--name",
    "alone",
    "--yes",
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, /warning: empty-dir scratch was mounted at \/scratch: an empty volume is mounted instead/);
  assert.match(stderr, /warning: environment, ports, resources/);
  assert.equal((await counted("alone")).token, token);
  await gone("alone");
  const isolated = await restore(alone, "--image", `${REGISTRY}/e2e/restore-alone-${RUN}:1`, "--isolated", "--name", "alone", "--yes");
  assert.equal(isolated.code, 0, isolated.stderr);
  const listed = await kubectl("exec", "alone", "-n", namespace, "--", "ls", "-A", "/var/run/secrets/kubernetes.io/serviceaccount");
  assert.deepEqual([listed.code, listed.stdout], [0, ""]);
  assert.equal((await counted("alone")).token, token);
  await gone("alone");
});

clusterTest("a pod with power over its node, out of an image that may be anybody's: never unasked, never isolated", async (t) => {
  const hostile = join(await temporaryDirectory(t), "hostile.tar");
  copyFileSync(file, hostile);
  const record = JSON.parse(readFileSync(`${file}.json`, "utf8").replaceAll("counter.tar", "hostile.tar")) as { record: { pod: V1Pod } };
  const { spec } = record.record.pod;
  assert.ok(spec);
  spec.hostPID = true;
  spec.volumes?.push({ name: "root", hostPath: { path: "/" } });
  spec.containers.push({
    ...(container("more", "sleep inf") as { name: string }),
    securityContext: { privileged: true },
    volumeMounts: [{ name: "root", mountPath: "/host" }],
  });
  writeFileSync(`${hostile}.json`, JSON.stringify(record));
  const reference = `${REGISTRY}/e2e/hostile-${RUN}:1`;
  const pushed = await plugin(["image", hostile, reference, "--push", "--yes", "--ca-file", CA]);
  assert.equal(pushed.code, 0, pushed.stderr);
  const ways = [
    ["--image", reference],
    [hostile, "--image", reference],
  ];
  for (const way of ways) {
    const { code, stderr } = await restore(...way, "--node", "node2");
    assert.equal(code, 2);
    assert.match(
      stderr,
      /pod\/counter-restored in namespace e2e-restore on node2, restored from \S+\/e2e\/hostile-\S+, is more than a plain pod: (?=.*\(hostPID\))(?=.*its volume root is \/ of the node \(hostPath\))(?=.*container more is privileged).*\n {2}fix: rerun with --yes/,
    );
    const isolated = await restore(...way, "--node", "node2", "--isolated", "--yes");
    assert.equal(isolated.code, 1);
    assert.match(isolated.stderr, /cannot be isolated; nothing was created\n {2}why: [^]*hostPID[^]*fix: restore it without --isolated/);
    assert.equal((await restore(...way, "--dry-run=client")).code, 0, "nothing is asked where nothing is made");
  }
  assert.notEqual((await kubectl("get", "pod", "counter-restored", "-n", namespace)).code, 0);
  const elsewhere = await plugin(["restore", "--image", reference, "--dry-run=client", "--ca-file", CA]);
  assert.match(elsewhere.stderr, /it is created in namespace e2e-restore, where the original was, not in default/);
  const agreed = await restore("--image", reference, "--node", "node2", "--yes");
  assert.equal(agreed.code, 0, agreed.stderr);
  await gone("counter-restored");
});

clusterTest("--dry-run shows all that would be created, and creates nothing; kubectl takes it", async (t) => {
  const reference = `${REGISTRY}/e2e/dry-${RUN}:1`;
  const client = await restore(file, "--image", reference, "--isolated", "--dry-run=client", "-o", "yaml");
  assert.equal(client.code, 0, client.stderr);
  assert.match(client.stdout, /kind: NetworkPolicy\n[^]*kind: Pod\n/);
  const manifest = join(await temporaryDirectory(t), "pod.yaml");
  writeFileSync(manifest, client.stdout);
  assert.equal((await kubectl("create", "--dry-run=server", "-f", manifest)).code, 0);
  const server = await restore("--image", `${REGISTRY}/e2e/restore-none-${RUN}:1`, "--dry-run=server", "-o", "json");
  assert.equal(server.code, 0, server.stderr);
  assert.ok((JSON.parse(server.stdout) as V1Pod).metadata?.uid);
  const text = await restore("--image", `${REGISTRY}/e2e/restore-none-${RUN}:1`, "--dry-run=server");
  assert.equal(text.stdout, "pod/counter-restored created in namespace e2e-restore (server dry run)\n");
  assert.notEqual((await kubectl("get", "pod", "counter-restored", "-n", namespace)).code, 0);
});

clusterTest("told before anything is created: other engines, absent images, absent nodes, mounts that are missing", async (t) => {
  const cases: [string[], number, RegExp][] = [
    [
      [join(ARCHIVES, "crio-1.34.11-criu4.2.1.tar"), "--image", `${REGISTRY}/e2e/x:1`, "--yes"],
      1,
      /no node can restore this checkpoint; nothing was created\n {2}why: node1 runs containerd, the checkpoint was made by cri-o/,
    ],
    [[join(ARCHIVES, "podman-zstd.tar.zst"), "--image", `${REGISTRY}/e2e/x:1`, "--yes"], 1, /Podman made it/],
    [["--image", `${REGISTRY}/e2e/nothing-${RUN}:1`], 1, /image \S+ not found\n {2}fix: push it first: kubectl checkpoint image FILE/],
    [["--image", BUSYBOX], 1, /is not the image of a checkpoint/],
    [[file, "--image", `${REGISTRY}/e2e/x:1`, "--node", "node77", "--yes"], 2, /node node77 not found/],
    [[file, "--image", `${REGISTRY}/e2e/x:1`, "--set-image", "sidecar=x:1", "--yes"], 2, /invalid value "sidecar" for --set-image/],
    [[file, "--image", "quay.io/team/x:1", "--yes"], 2, /is in a public registry/],
  ];
  for (const [args, code, said] of cases) {
    const ended = await restore(...args);
    assert.equal(ended.code, code, `${args.join(" ")}: ${ended.stderr}`);
    assert.match(ended.stderr, said);
  }
  const changed = join(await temporaryDirectory(t), "changed.tar");
  copyFileSync(file, changed);
  writeFileSync(
    `${changed}.json`,
    readFileSync(`${file}.json`, "utf8")
      .replaceAll('"mountPath": "/scratch"', '"mountPath": "/elsewhere"')
      .replaceAll("counter.tar", "changed.tar"),
  );
  const mounts = await restore(changed, "--image", `${REGISTRY}/e2e/x:1`, "--yes");
  assert.match(mounts.stderr, /had mounts that the pod's manifest does not have: \/scratch/);
  const record = readFileSync(`${file}.json`, "utf8");
  const { items } = JSON.parse(record) as CheckpointList;
  writeFileSync(
    `${changed}.json`,
    record.replaceAll(items[0]?.copy?.sha256 ?? "none", "0".repeat(64)).replaceAll("counter.tar", "changed.tar"),
  );
  const forged = await restore(changed, "--image", `${REGISTRY}/e2e/forged-${RUN}:1`, "--node", "node2", "--yes");
  assert.equal(forged.code, 1);
  assert.match(forged.stderr, /error: \S*changed\.tar is not what its record says/);
  rmSync(`${changed}.json`);
  writeFileSync(`${changed}.json`, "{");
  assert.match(
    (await restore(changed, "--image", `${REGISTRY}/e2e/x:1`, "--dry-run=client")).stderr,
    /the record .* cannot be read: it is not JSON/,
  );
  const pods = await getJson<{ items: V1Pod[] }>("pods", "-n", namespace);
  assert.deepEqual(
    pods.items.map(({ metadata }) => metadata?.name),
    ["counter"],
  );
});

clusterTest(
  "explained afterwards: a base image that the node cannot pull, a checkpoint image that it may not pull",
  async (t) => {
    const base = await restore(
      join(ARCHIVES, "containerd-2.1.9-criu4.2.1-k8s-redis.tar"),
      "--image",
      `${REGISTRY}/e2e/base-${RUN}:1`,
      "--node",
      "node2",
      "--name",
      "base",
      "--yes",
    );
    assert.equal(base.code, 1);
    assert.match(base.stderr, /error: (node2 cannot|no node can) pull (the checkpoint's base image )?10\.90\.0\.1:5000\/apps@sha256:/);
    await gone("base");
    const home = await temporaryDirectory(t);
    const config = join(home, "auth.json");
    writeFileSync(config, JSON.stringify({ auths: { [PRIVATE]: { auth: Buffer.from("test:test-password").toString("base64") } } }));
    const denied = await restore(
      file,
      "--image",
      `${PRIVATE}/e2e/denied-${RUN}:1`,
      "--node",
      "node2",
      "--name",
      "denied",
      "--yes",
      "--registry-config",
      config,
    );
    assert.equal(denied.code, 1);
    assert.match(
      denied.stderr,
      /error: node2 is not allowed to pull the checkpoint image .*\n {2}why: .*\n {2}fix: give the pod's service account a pull secret:\n/,
    );
    // It would be restored in silence once it may pull the image.
    assert.match(denied.stderr, /warning: pod\/denied was deleted from namespace e2e-restore\n/);
    assert.match(denied.stderr, /warning: the memory dump \S+\/e2e\/denied-\S+@sha256:\S+ was deleted from its registry\n/);
    await eventually(async () => (await kubectl("get", "pod", "denied", "-n", namespace)).code !== 0, "the pod is gone");
  },
  { full: true },
);

clusterTest("on a 403, all that is missing is listed", async () => {
  const kubeconfig = (await cluster("user", "e2e-restorer")).trim();
  const { code, stderr } = await restore("--image", `${REGISTRY}/e2e/restore-none-${RUN}:1`, "--isolated", "--kubeconfig", kubeconfig);
  assert.equal(code, 1);
  assert.match(stderr, /create pods in namespace e2e-restore, get pods in namespace e2e-restore, delete pods [^]*create networkpolicies/);
});

clusterTest("CRIU fails: said so, and with --explain its log of the next try tells why", async () => {
  const hold = container("holder", "echo data >/scratch/file; exec 3</scratch/file; exec sleep inf", {
    volumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
  });
  await apply(pod(namespace, "holder", [hold], { node: "node1", spec: { volumes: [{ name: "scratch", emptyDir: {} }] } }));
  await running(namespace, "holder");
  const archive = join(directory, "holder.tar");
  assert.equal((await plugin(["--prove", "0", "holder", "-n", namespace, `--copy=${archive}`], { env })).code, 0);
  const reference = `${REGISTRY}/e2e/holder-${RUN}:1`;
  const plainly = await restore(archive, "--image", reference, "--node", "node2", "--yes");
  assert.equal(plainly.code, 1);
  assert.match(plainly.stderr, /error: CRIU could not restore the processes on node2\n[^]*rerun with --explain to have CRIU's log read/);
  assert.match(plainly.stderr, /warning: pod\/holder-restored was deleted/);
  const { code, stderr } = await restore(archive, "--image", reference, "--node", "node2", "--name", "explained", "--explain", "--yes");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /error: CRIU could not restore the processes on node2\n {2}why: [^]*Can't open file scratch\/file on restore: No such file or directory/,
  );
  await gone("holder");
});
