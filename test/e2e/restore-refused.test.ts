// Restores that the cluster or the registry would refuse: nothing is sent or created, by the audit log.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import {
  apply,
  audited,
  auditEnd,
  BUSYBOX,
  cluster,
  clusterTest,
  container,
  COUNT,
  eventually,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  running,
  setUp,
  shareCluster,
  type Ended,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

shareCluster();

const namespace = ownNamespace("e2e-restore-refused");
const REPOSITORY = `e2e/restore-refused-${process.pid}-${Date.now()}`;
const IMAGE = `${REGISTRY}/${REPOSITORY}:1`;
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

/** Since then: no pod, Job or policy but in dry runs, no repository. */
async function nothingSince(since: number): Promise<void> {
  const made = ["pods", "jobs", "networkpolicies"].flatMap((what) => audited(`/namespaces/${namespace}/${what}`, since));
  const uris = made.filter(({ verb }) => verb === "create").map(({ requestURI }) => requestURI);
  assert.deepEqual(
    uris.filter((uri) => !uri.includes("dryRun=All") && !uri.includes("fieldManager=kubectl")),
    [],
  );
  const [answer] = (await once(get(`https://${REGISTRY}/v2/${REPOSITORY}/tags/list`, { ca: readFileSync(CA) }), "response")) as [
    IncomingMessage,
  ];
  answer.resume();
  assert.equal(answer.statusCode, 404, "no such repository");
}

function refused({ code, stderr }: Ended, said: RegExp): void {
  assert.ok(code === 1 || code === 2, stderr);
  assert.match(stderr, said);
}

clusterTest("a restore that is sure to fail is refused before anything is pushed or created", async (t) => {
  const kubeconfig = (await cluster("user", "e2e-restore-viewer")).trim();
  await kubectl("create", "rolebinding", "viewer", "--clusterrole=view", "--user=e2e-restore-viewer", "-n", namespace);
  await eventually(async () => (await kubectl("get", "pods", "-n", namespace, "--kubeconfig", kubeconfig)).code === 0, "the role");
  t.after(async () => {
    await kubectl("delete", "quota", "none", "-n", namespace, "--ignore-not-found");
    await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce-");
  });
  const since = auditEnd();
  refused(
    await restore("--kubeconfig", kubeconfig),
    /is missing these permissions: create pods in namespace e2e-restore-refused, delete pods/,
  );
  refused(await restore("--name", "Not_A_Name"), /the API server refused the pod as invalid; nothing was created\n {2}why: .*Not_A_Name/);
  refused(await restore("--name", "counter"), /pod\/counter already exists/);
  refused(await restore("--node", "node77"), /node node77 not found/);
  const locked = IMAGE.replace(/:\d+\//, ":5001/");
  refused(await restore("--image", locked), /error: .*:5001 requires a login\n/);
  await kubectl("create", "quota", "none", "--hard=pods=1", "-n", namespace);
  const hard = async (): Promise<string> =>
    (await kubectl("get", "quota", "none", "-n", namespace, "-o", "jsonpath={.status.used.pods}/{.status.hard.pods}")).stdout;
  await eventually(async () => (await hard()) === "1/1", "the quota");
  refused(await restore(), /the pod was refused in namespace e2e-restore-refused; it was not created\n {2}why: .*exceeded quota/);
  refused(await restore("--isolated"), /it was not created\n {2}why: .*exceeded quota/);
  await kubectl("delete", "quota", "none", "-n", namespace);
  await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted");
  refused(await restore(), /it was not created\n {2}why: .*violates PodSecurity/);
  await nothingSince(since);
});
