// What of a pod's own manifest keeps it from moving; what takes a cluster to tell is in test/e2e/move.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container, Pod } from "../../../../src/cluster/pods.ts";
import type { FlowContext } from "../../../../src/flows/context.ts";
import { obstacles } from "../../../../src/flows/restore/move/obstacles.ts";
import { plain } from "../../../../src/model/phrase.ts";
import { context } from "../../../fakes.ts";

const CONTAINER: Container = {
  name: "web",
  kind: "container",
  state: { phase: "running" },
  containerID: "",
  imageID: "",
  restartCount: 0,
};

async function found(t: { signal: AbortSignal }, volumes: readonly object[]): Promise<string[]> {
  const pod: Pod = {
    namespace: "shop",
    name: "web",
    uid: "1",
    node: "node1",
    createdAt: 0,
    phase: "Running",
    defaultContainer: undefined,
    containers: [CONTAINER],
    object: { metadata: {}, spec: { containers: [{ name: "web" }], volumes } },
  };
  return (await obstacles(context(t.signal) as unknown as FlowContext, pod, CONTAINER)).map(plain);
}

test("generic ephemeral volumes: their data stays behind and goes with the original", async (t) => {
  const template = { volumeClaimTemplate: { spec: { accessModes: ["ReadWriteMany"] } } };
  assert.deepEqual(
    await found(t, [
      { name: "cache", ephemeral: template },
      { name: "more", ephemeral: template },
    ]),
    [
      "its ephemeral volume cache is not moved, and is deleted with the original",
      "its ephemeral volume more is not moved, and is deleted with the original",
    ],
  );
  assert.deepEqual(await found(t, [{ name: "conf", configMap: { name: "web" } }]), []);
});
