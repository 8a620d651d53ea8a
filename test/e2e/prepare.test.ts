// What keeps a copy from succeeding is known before the container is frozen: the API server's audit log has no checkpoint and no helper pod.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  apply,
  audited,
  auditEnd,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  eventually,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-prepare");
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(...["one", "two"].map((name) => pod(namespace, name, [container("c", COUNT)], { node: "node1", labels: { app: "x" } })));
    await running(namespace, "one", "two");
  });
}

/** Copies of one container, of several, and of a series: each refused with this, nothing frozen and nothing created. */
async function refused(
  t: TestContext,
  more: readonly string[],
  status: number,
  said: RegExp,
  kinds = ["one", "many", "series"],
): Promise<void> {
  const cwd = await temporaryDirectory(t);
  const targets: Record<string, string[]> = { one: ["one"], many: ["-l", "app=x"], series: ["one", "--every", "1h"] };
  for (const kind of kinds) {
    const since = auditEnd();
    const args = [...(targets[kind] ?? []), "-n", namespace, "--yes", ...more];
    const { code, stderr } = await plugin(args, { env, cwd });
    assert.equal(code, status, `${kind}: ${stderr}`);
    assert.match(stderr, said, kind);
    const [frozen, created] = [audited(`/proxy/checkpoint/${namespace}/`, since), audited(`/apis/batch/v1/namespaces/`, since)];
    assert.deepEqual(frozen, [], kind);
    assert.deepEqual(
      created.filter(({ verb, requestURI }) => verb === "create" && requestURI.includes(namespace)),
      [],
      kind,
    );
  }
  assert.deepEqual(readdirSync(cwd), [], "no state of a run that was not begun");
}

/** A namespace for helper pods in which none may be. */
async function hostile(t: TestContext, name: string, labels: Record<string, string>, ...objects: object[]): Promise<string[]> {
  const full = `${namespace}-${name}`;
  await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: full, labels } });
  t.after(async () => await kubectl("delete", "namespace", full, "--wait=false"));
  for (const object of objects) await apply({ ...object, metadata: { name: "x", namespace: full } });
  return ["--copy", "--helper-namespace", full];
}

/** A namespace whose pods a ValidatingAdmissionPolicy judges. */
async function policy(t: TestContext): Promise<string[]> {
  const args = await hostile(t, "policy", { "e2e-prepare": "policy" });
  const metadata = { name: `${namespace}-policy` };
  const group = { apiVersion: "admissionregistration.k8s.io/v1" };
  const matchConstraints = {
    namespaceSelector: { matchLabels: { "e2e-prepare": "policy" } },
    resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
  };
  const validations = [{ expression: "false", message: "no privileged pods here" }];
  await apply(
    { ...group, kind: "ValidatingAdmissionPolicy", metadata, spec: { failurePolicy: "Fail", matchConstraints, validations } },
    { ...group, kind: "ValidatingAdmissionPolicyBinding", metadata, spec: { policyName: metadata.name, validationActions: ["Deny"] } },
  );
  t.after(async () => {
    for (const kind of ["validatingadmissionpolicybinding", "validatingadmissionpolicy"]) await kubectl("delete", kind, metadata.name);
  });
  const dry = ["run", "x", "--image=x", "--dry-run=server", "-n", `${namespace}-policy`];
  await eventually(async () => (await kubectl(...dry)).stderr.includes("no privileged pods here"), "the policy");
  return args;
}

clusterTest("DEST: not there, not to be written, taken, open to everybody", async (t) => {
  const directory = await temporaryDirectory(t);
  await refused(t, ["--copy=/nonexistent/x/"], 2, /^error: directory \/nonexistent\/x not found\n {2}fix: mkdir \/nonexistent\/x$/m);
  await refused(t, ["--copy=/nonexistent/x.tar"], 2, /^error: directory \/nonexistent\S* not found/m);
  const taken = join(directory, "taken.tar");
  writeFileSync(taken, "mine");
  await refused(t, [`--copy=${taken}`], 1, /^error: \S+taken\.tar already exists\n {2}fix: rerun with --force to replace it/m, ["one"]);
  const [readOnly, open] = [join(directory, "read-only"), join(directory, "open")];
  for (const path of [readOnly, open]) mkdirSync(path);
  chmodSync(open, 0o777);
  await refused(t, [`--copy=${open}`], 1, /^error: cannot write to \S+open: every user of this machine can replace the files in it\n/m);
  await run("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", readOnly]);
  try {
    await refused(t, [`--copy=${readOnly}/`], 1, /^error: cannot write \S+read-only\S*\n {2}why: read-only file system$/m);
  } finally {
    await run("umount", [readOnly]);
  }
});

clusterTest("no room for the archive here", async (t) => {
  const small = await temporaryDirectory(t);
  await run("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", small]);
  try {
    await refused(t, [`--copy=${small}/`], 1, /^error: the archives? would not fit/m, ["one", "many"]);
  } finally {
    await run("umount", [small]);
  }
});

clusterTest("the helper pod: PodSecurity, a quota, a limit range, an invalid pod, a policy", async (t) => {
  const quota = { apiVersion: "v1", kind: "ResourceQuota", spec: { hard: { pods: "0" } } };
  const limits = { apiVersion: "v1", kind: "LimitRange", spec: { limits: [{ type: "Container", min: { memory: "1Gi" } }] } };
  const security = await hostile(t, "security", { "pod-security.kubernetes.io/enforce": "baseline" });
  await refused(t, security, 1, /^error: the helper pod was refused in namespace \S+\n {2}why: the namespace's PodSecurity level/m);
  const full = await hostile(t, "quota", {}, quota);
  await eventually(
    async () => (await kubectl("get", "quota", "x", "-n", `${namespace}-quota`, "-o", "jsonpath={.status.hard.pods}")).stdout === "0",
    "the quota",
  );
  await refused(t, full, 1, /why: the namespace's quota has no room for it: .*exceeded quota/m);
  await refused(t, await hostile(t, "limits", {}, limits), 1, /why: the namespace's LimitRange does not allow its resources: /m);
  await refused(
    t,
    await policy(t),
    1,
    /^error: the helper pod was refused in namespace \S+\n {2}why: a policy of the cluster refuses it: .*no privileged pods here/m,
  );
  // For --criu-option there is a helper pod too, whether the archive is copied or not.
  const options = ["--criu-option", "file-locks", ...full.slice(1)];
  await refused(t, options, 1, /^error: the helper pod was refused in namespace \S+\n {2}why: the namespace's quota/m);
  await refused(t, ["--copy", "--helper-namespace", "e2e-prepare-none"], 1, /why: the namespace does not exist: /m);
  await refused(
    t,
    ["--copy", "--helper-image", " busybox"],
    1,
    /^error: the helper pod was refused in namespace e2e-prepare\n {2}why: .*Invalid value/m,
  );
});

clusterTest("a user who may checkpoint, but not make the helper pod", async (t) => {
  const rules = [
    { apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] },
    { apiGroups: [""], resources: ["nodes/proxy"], verbs: ["create", "get"] },
  ];
  const metadata = { name: namespace };
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: namespace };
  await apply(
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata, rules },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata,
      roleRef,
      subjects: [{ kind: "User", name: "paul" }],
    },
  );
  t.after(async () => await kubectl("delete", "clusterrole,clusterrolebinding", namespace));
  await eventually(
    async () => (await kubectl("auth", "can-i", "create", "nodes", "--subresource=proxy", "--as", "paul")).code === 0,
    "the role",
  );
  const missing = ["create jobs.batch", "patch jobs.batch", "delete jobs.batch", "get pods/portforward", "create pods/portforward"];
  const said = new RegExp(
    `^error: user "paul" is missing these permissions: ${missing.map((right) => `${right} in namespace ${namespace}`).join(", ")}\n`,
    "m",
  );
  await refused(t, ["--copy", "--as", "paul"], 1, said);
  await refused(t, ["--keep", "2", "--as", "paul"], 1, said, ["series"]);
  await refused(t, ["--criu-option", "file-locks", "--as", "paul"], 1, said);
});
