// Output that cannot be written, on the real cluster: the command cleans up and ends with status 1.
import assert from "node:assert/strict";
import type { V1PodList } from "@kubernetes/client-node";
import {
  apply,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  eventually,
  getJson,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pluginCommand,
  pod,
  run,
  running,
  setUp,
  shareCluster,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-output");
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
const FULL = "error: cannot write to standard output: no space left on device\n";
let archive = "";

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(pod(namespace, "counter", [container("counter", COUNT)], { node: "node1" }));
    await running(namespace, "counter");
    archive = (await plugin(["counter", "-n", namespace, "-o", "name"])).stdout.trim();
  });
}

async function nothingLeft(): Promise<boolean> {
  const { items } = await getJson<V1PodList>("pods,jobs", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint");
  return items.length === 0;
}

/** Runs the plugin with its streams redirected as the shell writes it. */
async function redirected(words: readonly string[], redirection: string) {
  const line = [...pluginCommand(), ...words].map((word) => `'${word}'`).join(" ");
  return await run("sh", ["-c", `${line} ${redirection}`], { env });
}

clusterTest("an archive, a list and a result into a full disk: one line, status 1, no helper pod stays", async () => {
  for (const words of [
    ["cp", archive, "-"],
    ["ls", "-n", namespace, "--node", "node1", "--yes"],
    ["counter", "-n", namespace],
    ["counter", "-n", namespace, "-o", "json"],
  ]) {
    const { code, stderr } = await redirected(words, ">/dev/full");
    assert.deepEqual([code, stderr.split("\n").at(-2)], [1, FULL.trim()], words.join(" "));
  }
  await eventually(nothingLeft, "no helper pod");
});

clusterTest("a full disk behind standard error: status 1, no helper pod stays", async () => {
  const { code } = await redirected(["cp", "node1:no-such.tar", "-n", namespace], "2>/dev/full");
  assert.equal(code, 1);
  await eventually(nothingLeft, "no helper pod");
});
