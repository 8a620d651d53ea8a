// Where helper pods are made, and why they are not.
import "./apart.ts";
import assert from "node:assert/strict";
import type { V1Job, V1PodList } from "@kubernetes/client-node";
import {
  apply,
  BUSYBOX,
  claimCluster,
  clusterTest,
  container,
  COUNT,
  eventually,
  getJson,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  run,
  running,
  setUp,
  temporaryDirectory,
} from "./harness.ts";

claimCluster();

const namespace = ownNamespace("e2e-helper");
const NODE = "node1";
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
let archive = "";

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(pod(namespace, "counter", [container("counter", COUNT)], { node: NODE }));
    await running(namespace, "counter");
    archive = (await plugin(["--prove", "0", "counter", "-n", namespace, "-o", "name"])).stdout.trim();
  });
}

/** Those of killed commands of other files may be there for a minute. */
async function helperNames(): Promise<string[]> {
  const { items } = await getJson<V1PodList>("jobs", "-A", "-l", "app.kubernetes.io/name=kubectl-checkpoint");
  return items.map(({ metadata }) => metadata?.name ?? "");
}

clusterTest("the helper pod: in its namespace, tolerating, without a token, with a deadline; --dry-run shows it", async () => {
  const before = await helperNames();
  const { code, stdout, stderr } = await plugin(["cp", archive, "--dry-run=client", "-o", "yaml"], { env });
  assert.equal(code, 0, stderr);
  const applied = await run("kubectl", ["create", "--dry-run=server", "-o", "json", "-f", "-"], {
    started: (child) => child.stdin?.write(stdout),
  });
  assert.equal(applied.code, 0, applied.stderr);
  const job = JSON.parse(applied.stdout) as V1Job;
  const spec = job.spec?.template.spec;
  assert.equal(job.metadata?.namespace, "kube-system");
  assert.deepEqual([job.spec?.activeDeadlineSeconds, job.spec?.ttlSecondsAfterFinished, job.spec?.backoffLimit], [600, 0, 0]);
  assert.deepEqual(
    [spec?.nodeName, spec?.automountServiceAccountToken, spec?.hostNetwork, spec?.terminationGracePeriodSeconds],
    [NODE, false, undefined, 0],
  );
  assert.deepEqual(spec?.tolerations, [{ operator: "Exists" }]);
  assert.deepEqual(
    spec?.containers[0]?.volumeMounts?.map(({ mountPath, readOnly }) => [mountPath, readOnly ?? false]),
    [
      ["/archives", true],
      ["/work", false],
    ],
  );
  const server = await plugin(["cp", archive, "--dry-run=server"], { env });
  assert.match(server.stdout, /^job\.batch\/kubectl-checkpoint-\w+ created in namespace kube-system \(server dry run\)\n$/);
  assert.deepEqual(
    (await helperNames()).filter((name) => !before.includes(name)),
    [],
  );
});

clusterTest("a namespace of its own is found by itself; PodSecurity and quota are named with what to do", async (t) => {
  const directory = await temporaryDirectory(t);
  t.after(async () => await kubectl("delete", "namespace", "kubectl-checkpoint", "--wait=true"));
  await kubectl("create", "namespace", "kubectl-checkpoint");
  await kubectl("label", "namespace", "kubectl-checkpoint", "pod-security.kubernetes.io/enforce=baseline");
  const security = await plugin(["cp", archive, directory], { env });
  assert.equal(security.code, 1);
  assert.match(
    security.stderr,
    /^error: the helper pod was refused in namespace kubectl-checkpoint\n {2}why: the namespace's PodSecurity level does not allow privileged pods: .*violates PodSecurity "baseline:latest"/,
  );
  assert.match(security.stderr, /kubectl label namespace kubectl-checkpoint pod-security\.kubernetes\.io\/enforce=privileged/);
  await kubectl("label", "namespace", "kubectl-checkpoint", "pod-security.kubernetes.io/enforce=privileged", "--overwrite");
  await kubectl("create", "quota", "none", "--hard=pods=0", "-n", "kubectl-checkpoint");
  await eventually(
    async () => (await kubectl("get", "quota", "none", "-n", "kubectl-checkpoint", "-o", "jsonpath={.status.hard.pods}")).stdout === "0",
    "the quota",
  );
  const quota = await plugin(["cp", archive, directory], { env });
  assert.match(quota.stderr, /why: the namespace's quota has no room for it: .*exceeded quota: none/);
  await kubectl("delete", "quota", "none", "-n", "kubectl-checkpoint");
  await eventually(async () => (await plugin(["cp", archive, directory, "--force"], { env })).code === 0, "the copy without the quota");
});

clusterTest("who may not create the helper pod gets the list of every missing permission", async (t) => {
  const directory = await temporaryDirectory(t);
  const { code, stderr } = await plugin(["cp", archive, directory, "--as", "carl"], { env });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: user "carl" is missing these permissions: create jobs\.batch in namespace kube-system, patch jobs\.batch .*, delete jobs\.batch .*, list pods .*, get pods\/portforward .*, create pods\/portforward /,
  );
});
