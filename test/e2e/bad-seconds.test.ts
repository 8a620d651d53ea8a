// An API server that answers a tenth of all requests badly: everything works all the same, nothing is done twice, nothing is left.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { V1JobList, V1PodList } from "@kubernetes/client-node";
import type { ArchiveList } from "../../src/model/archives.ts";
import type { CheckpointList } from "../../src/model/documents.ts";
import { FaultyApi, isCheckpoint, type Fate } from "./faulty-api.ts";
import {
  apply,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  eventually,
  getJson,
  kubectl,
  onNode,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  running,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

shareCluster();

const namespace = ownNamespace("e2e-bad-seconds");
const ROUNDS = process.env["FULL"] === undefined ? 1 : 50;
const RUN = `${process.pid}-${Date.now()}`;

async function archivesOf(name: string): Promise<string> {
  const look = ["sh", "-c", `ls /var/lib/kubelet/checkpoints 2>/dev/null | grep 'checkpoint-${name}' || true`];
  return (await Promise.all(["node1", "node2"].map(async (node) => await onNode(node, ...look)))).join("").trim();
}

async function left(): Promise<string[]> {
  const { items: jobs } = await getJson<V1JobList>("jobs", "-n", namespace);
  const { items: pods } = await getJson<V1PodList>("pods", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint");
  return [...jobs, ...pods].map(({ metadata }) => metadata?.name ?? "");
}

clusterTest(
  `checkpoint --copy, a run over both nodes, move, doctor and ls work under it, ${ROUNDS} times`,
  async (t) => {
    const once = async (round: number): Promise<void> => {
      const api = await FaultyApi.start(t);
      const seed = api.misbehave();
      const directory = await temporaryDirectory(t);
      mkdirSync(join(directory, "run"));
      const env = { KUBECONFIG: api.kubeconfig, KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
      const ask = async (...args: string[]) => {
        const ended = await plugin([...args, "-n", namespace], { env, cwd: directory });
        const faults = api.requests.filter(({ fate }) => fate !== "passed").map(({ method, path, fate }) => `${fate} ${method} ${path}`);
        assert.equal(ended.code, 0, `seed ${seed}: ${args.join(" ")}\n${ended.stderr}\n${ended.stdout}\n${faults.join("\n")}`);
        return ended.stdout;
      };
      const name = `r${process.pid}-${String(round).padStart(2, "0")}`;
      const labels = { round: name };
      const counter = (suffix: string, node: string) => pod(namespace, `${name}${suffix}`, [container("c", COUNT)], { node, labels });
      await apply(counter("a", "node1"), counter("b", "node2"), counter("c", "node1"));
      await running(namespace, `${name}a`, `${name}b`, `${name}c`);

      const copied = JSON.parse(await ask(`${name}a`, "--copy", "--remove", "--yes", "-o", "json")) as CheckpointList;
      assert.equal(copied.items[0]?.removedFromNode, true);
      const run = JSON.parse(await ask("-l", `round=${name}`, "--copy=run", "--remove", "--yes", "-o", "json")) as CheckpointList;
      assert.deepEqual(
        run.items.map((item) => item.error),
        [undefined, undefined, undefined],
      );
      assert.deepEqual(new Set(run.items.map((item) => item.node)), new Set(["node1", "node2"]));
      const image = `${REGISTRY}/e2e/bad-seconds-${RUN}:${name}`;
      await ask("move", `${name}a`, "--to", "node2", "--image", image, "--ca-file", CA, "--yes");
      assert.match(await ask("doctor"), /node1/);
      const listed = JSON.parse(await ask("ls", "--yes", "-o", "json")) as ArchiveList;
      assert.deepEqual(listed.unreachable ?? [], []);

      // Five containers were checkpointed, and each by one call.
      const checkpoints = api.requests.filter(isCheckpoint);
      assert.equal(checkpoints.length, 5, `seed ${seed}`);
      const created = (path: RegExp) => api.requests.filter((one) => one.method === "POST" && path.test(one.path) && one.status === 201);
      assert.equal(created(/\/namespaces\/[^/]+\/pods$/).length, 1, `seed ${seed}: the moved pod`);
      const { items: pods } = await getJson<V1PodList>("pods", "-n", namespace, "-l", `round=${name}`);
      const names = pods.filter(({ metadata }) => metadata?.deletionTimestamp === undefined).map(({ metadata }) => metadata?.name);
      assert.deepEqual(new Set(names), new Set([`${name}a-node2`, `${name}b`, `${name}c`]), `seed ${seed}`);
      assert.ok(
        pods.every(({ status }) => status?.containerStatuses?.every(({ restartCount, state }) => restartCount === 0 && state?.running)),
      );
      assert.equal(await archivesOf(name), "", `seed ${seed}`);
      const files = [...readdirSync(directory), ...readdirSync(join(directory, "run")).map((file) => `run/${file}`)];
      const tars = files.filter((file) => file.endsWith(".tar"));
      assert.equal(tars.length, 4, files.join());
      assert.ok(!files.some((file) => file.includes(".part")), files.join());
      assert.ok(api.requests.some(({ fate }) => fate !== "passed"));
      await kubectl("delete", "pods", "-n", namespace, "-l", `round=${name}`, "--wait=false");
    };
    let begun = 0;
    const several = async (): Promise<void> => {
      while (begun < ROUNDS) {
        begun += 1;
        await once(begun).catch((error: unknown) => {
          begun = ROUNDS;
          throw error;
        });
      }
    };
    // Most of a round is waiting.
    const ended = await Promise.allSettled([several(), several(), several()]);
    for (const one of ended) if (one.status === "rejected") throw one.reason;
    await eventually(async () => (await left()).length === 0, "no helper is left");
  },
  { full: true, timeout: ROUNDS * 240_000 },
);

const FATES: readonly Fate[] = ["lost", "cut", "hidden"];

clusterTest("the checkpoint's own call under it: sent once, and its outcome is unknown", async (t) => {
  const api = await FaultyApi.start(t);
  await apply(pod(namespace, "once", [container("c", COUNT)], { node: "node1" }));
  await running(namespace, "once");
  for (const fate of FATES) {
    const before = api.requests.length;
    api.decide = (passing) => (isCheckpoint(passing) ? fate : "passed");
    const { code, stdout } = await plugin(["once", "-n", namespace, "-o", "json"], { env: { KUBECONFIG: api.kubeconfig } });
    const { items } = JSON.parse(stdout) as CheckpointList;
    assert.deepEqual([code, items[0]?.error?.reason], [1, "OutcomeUnknown"], String(fate));
    assert.match(items[0]?.error?.fix ?? "", /kubectl checkpoint ls once --node node1 -n e2e-bad-seconds/);
    assert.equal(api.requests.slice(before).filter(isCheckpoint).length, 1, String(fate));
  }
});
