// Nodes that are cordoned or tainted: what the scheduler would not take is refused before the freeze.
import "./apart.ts";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import {
  apply,
  audited,
  auditEnd,
  BUSYBOX,
  claimCluster,
  clusterTest,
  container,
  COUNT,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  running,
  setUp,
  type Ended,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

claimCluster();

const namespace = ownNamespace("e2e-cordoned");
const IMAGE = `${REGISTRY}/e2e/cordoned-${process.pid}-${Date.now()}:1`;
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
const directory = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
const file = join(directory, "counter.tar");

after(() => rmSync(directory, { recursive: true }));
if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(pod(namespace, "counter", [container("counter", COUNT)], { node: "node1" }));
    await running(namespace, "counter");
    const { code, stderr } = await plugin(["--prove", "0", "counter", "-n", namespace, `--copy=${file}`], { env });
    assert.equal(code, 0, stderr);
  });
}

async function restore(...more: string[]): Promise<Ended> {
  return await plugin(["restore", file, "--image", IMAGE, "--name", "again", "--ca-file", CA, "-n", namespace, "--yes", ...more], { env });
}

async function move(...more: string[]): Promise<Ended> {
  return await plugin(["move", "counter", "--to", "node2", "--image", IMAGE, "--ca-file", CA, "-n", namespace, "--yes", ...more], { env });
}

function refused({ code, stderr }: Ended, said: RegExp): void {
  assert.equal(code, 1, stderr);
  assert.match(stderr, said);
}

clusterTest(
  "a cordoned node, or one with a taint: said before the freeze; with a toleration or --bypass-scheduler it is taken",
  async (t) => {
    const since = auditEnd();
    t.after(async () => {
      await kubectl("uncordon", "node1", "node2");
      await kubectl("taint", "nodes", "node2", "e2e-");
    });
    await kubectl("cordon", "node2");
    const cordoned =
      /error: node2 cannot restore this checkpoint; nothing was created\n {2}why: node2 is cordoned\n {2}fix: kubectl uncordon node2\n {7}or rerun with --bypass-scheduler\n/;
    refused(await move(), cordoned);
    refused(await restore("--node", "node2"), cordoned);
    // The scheduler has node1.
    const other = await restore("--dry-run=server");
    assert.equal(other.code, 0, other.stderr);
    assert.doesNotMatch(other.stderr, /cordoned/);
    await kubectl("cordon", "node1");
    refused(
      await restore(),
      /error: no node can restore this checkpoint; nothing was created\n {2}why: node1 is cordoned\n {7}node2 is cordoned\n {2}fix: kubectl uncordon node1\n/,
    );
    await kubectl("uncordon", "node1", "node2");
    await kubectl("taint", "nodes", "node2", "e2e=x:NoSchedule");
    const tainted =
      /why: node2 has the taint e2e=x:NoSchedule, which the pod does not tolerate\n {2}fix: choose another node, or rerun with/;
    refused(await move(), tainted);
    refused(await restore("--node", "node2"), tainted);
    assert.deepEqual(audited(`/proxy/checkpoint/${namespace}/`, since), []);
    const pods = audited(`/namespaces/${namespace}/pods`, since).filter(({ verb }) => verb === "create");
    assert.deepEqual(
      pods.filter(({ requestURI }) => !requestURI.includes("dryRun=All")),
      [],
    );
    const around = await restore("--node", "node2", "--bypass-scheduler");
    assert.equal(around.code, 0, around.stderr);
    await kubectl("delete", "pod", "again", "-n", namespace, "--force", "--grace-period=0");
    await kubectl("patch", "pod", "counter", "-n", namespace, "--type=json", "-p", TOLERATION);
    const moved = await move();
    assert.equal(moved.code, 0, moved.stderr);
    assert.match(moved.stdout, /^pod\/counter moved from node1 to node2 as pod\/counter-node2/);
  },
);

/** Tolerations of a pod may be added, not taken away. */
const TOLERATION = JSON.stringify([
  { op: "add", path: "/spec/tolerations/-", value: { key: "e2e", operator: "Exists", effect: "NoSchedule" } },
]);
