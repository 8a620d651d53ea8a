import assert from "node:assert/strict";

import type { V1Pod } from "@kubernetes/client-node";
import type { CheckpointList } from "../../src/model/documents.ts";
import {
  apply,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  getJson,
  kubectl,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  pod,
  run,
  running,
  setUp,
  shareCluster,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-checkpoint");

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(
      pod(namespace, "counter", [container("counter", COUNT)]),
      pod(namespace, "two", [container("a", COUNT), container("b", COUNT)]),
      pod(namespace, "chosen", [container("a", COUNT), container("b", COUNT)], {
        annotations: { "kubectl.kubernetes.io/default-container": "b" },
      }),
      pod(namespace, "starting", [container("main", COUNT)], { spec: { initContainers: [container("prepare", COUNT)] } }),
    );
    await running(namespace, "counter", "two", "chosen");
  });
}

async function logLines(name: string): Promise<number> {
  return (await kubectl("logs", "-n", namespace, name)).stdout.split("\n").length;
}

clusterTest("the main job: the document, the archive on the node, the counter counts on", async () => {
  const counted = await logLines("counter");
  const { code, stdout, stderr } = await plugin(["counter", "-c", "counter", "-n", namespace, "-o", "json"]);
  assert.equal(code, 0, stderr);
  const list = JSON.parse(stdout) as CheckpointList;
  const object = await getJson<V1Pod>("pod", "counter", "-n", namespace);
  const status = object.status?.containerStatuses?.[0];
  const node = object.spec?.nodeName ?? assert.fail("no node");
  assert.equal(list.apiVersion, "checkpoint.kubectl/v1");
  assert.equal(list.kind, "CheckpointList");
  assert.equal(list.clockOffsetSeconds, 0);
  assert.equal(list.items.length, 1);
  const { startedAt, finishedAt, seconds, pausedSeconds, watchedSeconds, nodePath, runtime, ...rest } =
    list.items[0] ?? assert.fail("no item");
  assert.deepEqual(rest, {
    namespace,
    pod: "counter",
    podUID: object.metadata?.uid,
    container: "counter",
    containerID: status?.containerID,
    imageID: status?.imageID,
    node,
    stillRunning: true,
    restartCount: 0,
  });
  assert.equal(pausedSeconds, seconds, "the call is the upper bound of the pause");
  assert.ok((watchedSeconds ?? 0) >= 5 && (watchedSeconds ?? 0) < 15, `watched for ${watchedSeconds} s`);
  assert.match(runtime ?? "", /^containerd:\/\/2\./);
  for (const time of [startedAt, finishedAt]) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(Math.round(Date.parse(finishedAt) - Date.parse(startedAt)), Math.round(seconds * 1000));
  assert.match(nodePath ?? "", /^\/var\/lib\/kubelet\/checkpoints\/checkpoint-counter_e2e-checkpoint-counter-.*\.tar$/);

  const [mode, size] = (await onNode(node, "stat", "-c", "%a %s", nodePath ?? "")).trim().split(" ");
  assert.equal(mode, "600");
  assert.ok(Number(size) > 100_000, `an archive of ${size} bytes`);
  const members = await onNode(node, "tar", "--force-local", "-tf", nodePath ?? "");
  for (const member of ["checkpoint/pages-1.img", "checkpoint/pstree.img", "spec.dump"]) assert.ok(members.includes(member), member);
  assert.ok((await logLines("counter")) > counted, "it has gone on counting");
});

clusterTest("for people: one line, then the location, nothing on stderr", async () => {
  const { code, stdout, stderr } = await plugin(["--prove", "0", "counter", "-n", namespace]);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^pod\/counter container counter checkpointed on node\d in \d+\.\ds\nnode\d:\/var\/lib\/kubelet\/checkpoints\/checkpoint-counter_\S+\.tar\n$/,
  );
  assert.equal(stderr, "");
});

clusterTest("-o name is the location alone, -o yaml the document", async () => {
  const name = await plugin(["--prove", "0", "pod", "counter", "-n", namespace, "-o", "name"]);
  assert.match(name.stdout, /^node\d:\/var\/lib\/kubelet\/checkpoints\/checkpoint-counter_\S+\.tar\n$/);
  const yaml = await plugin(["--prove", "0", "pod/counter", "-n", namespace, "-o", "yaml"]);
  assert.match(yaml.stdout, /^apiVersion: checkpoint\.kubectl\/v1\nkind: CheckpointList\n/);
  assert.match(yaml.stdout, /\n {4}pod: counter\n/);
});

clusterTest("run by kubectl as its plugin", async () => {
  const { code, stdout, stderr } = await run("kubectl", ["checkpoint", "counter", "-n", namespace, "-o", "name"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^node\d:/);
});

clusterTest("which container: -c, the default container, else the choice is an error with the list", async () => {
  const named = await plugin(["--prove", "0", "two", "-c", "b", "-n", namespace, "-o", "json"]);
  assert.equal((JSON.parse(named.stdout) as CheckpointList).items[0]?.container, "b");
  const chosen = await plugin(["--prove", "0", "chosen", "-n", namespace, "-o", "json"]);
  assert.equal((JSON.parse(chosen.stdout) as CheckpointList).items[0]?.container, "b");
  const choice = await plugin(["two", "-n", namespace]);
  assert.equal(choice.code, 2);
  assert.equal(choice.stdout, "");
  assert.equal(choice.stderr, "error: pod/two has several containers: choose one\n  fix: give -c with one of: a, b\n");
});

clusterTest("several containers of one pod, one after the other", async () => {
  const { code, stdout } = await plugin(["two", "-c", "a", "-c", "b", "-n", namespace, "-o", "json"]);
  const { items } = JSON.parse(stdout) as CheckpointList;
  assert.equal(code, 0);
  assert.deepEqual(
    items.map((item) => item.container),
    ["a", "b"],
  );
  assert.ok(Date.parse(items[1]?.startedAt ?? "") >= Date.parse(items[0]?.finishedAt ?? ""), "back to back");
});

clusterTest("a running init container can be taken; the one that waits for it is explained", async () => {
  const init = await plugin(["starting", "-c", "prepare", "-n", namespace, "-o", "json"]);
  assert.equal(init.code, 0, init.stderr);
  assert.equal((JSON.parse(init.stdout) as CheckpointList).items[0]?.stillRunning, true);
  const main = await plugin(["starting", "-n", namespace]);
  assert.equal(main.code, 1);
  assert.match(
    main.stderr,
    /^error: container main in pod\/starting is not running: only running containers can be checkpointed\n {2}why: the init container prepare is still running\n {2}fix: running now: prepare/,
  );
});

clusterTest("an ephemeral container can be taken", async () => {
  const patch = { spec: { ephemeralContainers: [{ name: "debug", image: BUSYBOX, command: ["/bin/sh", "-c", COUNT] }] } };
  await kubectl(
    "patch",
    "pod",
    "counter",
    "-n",
    namespace,
    "--subresource=ephemeralcontainers",
    "--type=strategic",
    "-p",
    JSON.stringify(patch),
  );
  const ready = "{.status.ephemeralContainerStatuses[0].state.running.startedAt}";
  await kubectl("wait", `--for=jsonpath=${ready}`, "--timeout=30s", "-n", namespace, "pod/counter");
  const { code, stdout, stderr } = await plugin(["--prove", "0", "counter", "-c", "debug", "-n", namespace, "-o", "json"]);
  assert.equal(code, 0, stderr);
  assert.equal((JSON.parse(stdout) as CheckpointList).items[0]?.container, "debug");
  const whole = await plugin(["--prove", "0", "counter", "-n", namespace, "-o", "json"]);
  assert.equal(
    (JSON.parse(whole.stdout) as CheckpointList).items[0]?.container,
    "counter",
    "the only regular container stays the one that is meant",
  );
});
