// What the API server itself refuses, on the real one: each answer named, explained, and its fix tried where it can be.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { load } from "js-yaml";
import {
  ADMIN,
  apply,
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
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-refusals");

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(pod(namespace, "counter", [container("counter", COUNT)]));
    await running(namespace, "counter");
  });
}

function fixOf(stderr: string): string {
  const lines = stderr
    .slice(stderr.indexOf("  fix: ") + 7)
    .trimEnd()
    .split("\n");
  return lines.map((line) => line.replace(/^ {7}/, "")).join("\n");
}

clusterTest("a user without any right: every missing right at once, and the printed fix works", async () => {
  const kubeconfig = (await cluster("user", "nobody-yet")).trim();
  const env = { KUBECONFIG: kubeconfig };
  const refused = await plugin(["counter", "-n", namespace], { env });
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^error: user "nobody-yet" is missing these permissions: get pods in namespace e2e-refusals, create nodes\/proxy\n/,
  );
  const commands = fixOf(refused.stderr)
    .split("\n")
    .filter((line) => line.startsWith("kubectl "));
  assert.equal(commands.length, 4);
  for (const command of commands) assert.equal((await run("sh", ["-c", command])).code, 0, command);
  const allowed = await plugin(["--prove", "0", "counter", "-n", namespace, "-o", "name"], { env });
  assert.equal(allowed.code, 0, allowed.stderr);
  for (const command of commands)
    await run("sh", ["-c", command.replace(/^kubectl create (\S+) (\S+).*?( -n \S+)?$/, "kubectl delete $1 $2$3")]);
});

clusterTest("a user who may only read pods, impersonated", async () => {
  await kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods", "-n", namespace);
  await kubectl("create", "rolebinding", "reader", "--role=reader", "--group=readers", "-n", namespace);
  const as = ["--as", "ann", "--as-group", "readers", "--as-group", "others"];
  await eventually(async () => (await kubectl("get", "pod", "counter", "-n", namespace, ...as)).code === 0, "the role");
  const { code, stderr } = await plugin(["counter", "-n", namespace, ...as]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: user "ann" is missing this permission: create nodes\/proxy\n {2}why: nodes "node\d" is forbidden: User "ann" cannot create resource "nodes\/proxy"/,
  );
  assert.match(stderr, /kubectl create clusterrolebinding \S+ --clusterrole=\S+ --user=ann\n/);
});

clusterTest("whatever is refused first, all that the verb needs is named: workloads, nodes, helper pods", async (t) => {
  const directory = await temporaryDirectory(t);
  const scope = "in namespace e2e-refusals";
  const helper = `create jobs.batch ${scope}, patch jobs.batch ${scope}, delete jobs.batch ${scope}, list pods ${scope}, get pods/portforward ${scope}, create pods/portforward ${scope}`;
  await kubectl("create", "role", "getter", "--verb=get", "--resource=pods", "-n", namespace);
  await kubectl("create", "rolebinding", "getter", "--role=getter", "--user=gus", "-n", namespace);
  await eventually(async () => (await kubectl("get", "pod", "counter", "-n", namespace, "--as", "gus")).code === 0, "the role");
  const cases: [string[], string][] = [
    [["deploy/web"], `get deployments.apps ${scope}, list pods ${scope}, create nodes/proxy`],
    [["cronjob/web"], `get cronjobs.batch ${scope}, list jobs.batch ${scope}, list pods ${scope}, create nodes/proxy`],
    [["counter", `--copy=${directory}/`], `create nodes/proxy, ${helper}`],
    [["counter", "counter", `--copy=${directory}/`, "--yes"], `create nodes/proxy, ${helper}`],
    [["prune", "--keep", "1", "--yes"], `list nodes, ${helper}`],
  ];
  for (const [args, missing] of cases) {
    const { code, stderr } = await plugin([...args, "-n", namespace, "--helper-namespace", namespace, "--as", "gus"]);
    assert.equal(code, 1, stderr);
    assert.ok(stderr.includes(`error: user "gus" is missing these permissions: ${missing}\n`), `${args.join(" ")}: ${stderr}`);
  }
});

clusterTest("the minimal rights of the README are enough: get pods, create nodes/proxy", async () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const manifest =
    /```yaml\n(?<yaml>[^`]*kind: ClusterRole\n[^`]*)```/.exec(readme)?.groups?.["yaml"] ?? assert.fail("the README has an RBAC manifest");
  const file = join(ADMIN, "../readme-rbac.yaml");
  writeFileSync(file, manifest);
  assert.equal((await kubectl("apply", "-f", file)).code, 0);
  const { code, stderr } = await plugin(["counter", "-n", namespace, "--as", "somebody", "--as-group", "responders"]);
  await kubectl("delete", "-f", file);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "", "what it may not read it goes without, in silence");
});

clusterTest("bad and expired credentials", async (t) => {
  const directory = await temporaryDirectory(t);
  const kubeconfig = join(directory, "config");
  const { clusters } = load(readFileSync(ADMIN, "utf8")) as { clusters: { cluster: object }[] };
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: "c", cluster: clusters[0]?.cluster }],
      users: [],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    }),
  );
  const expired = (await cluster("user", "late", "--expired")).trim();
  for (const [args, env] of [
    [["--token", "nonsense"], { KUBECONFIG: kubeconfig }],
    [[], { KUBECONFIG: expired }],
  ] as const) {
    const { code, stderr } = await plugin(["counter", "-n", namespace, ...args], { env });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: the API server does not accept these credentials\n {2}why: they are wrong, or they have expired\n {2}fix: log in again/,
    );
    assert.doesNotMatch(stderr, /nonsense/);
  }
});

clusterTest("no such pod, no such namespace, no such container", async () => {
  const noPod = await plugin(["nope", "-n", namespace]);
  assert.deepEqual(
    [noPod.code, noPod.stderr],
    [1, `error: pod/nope not found in namespace ${namespace}\n  fix: kubectl get pods -n ${namespace}\n`],
  );
  const noNamespace = await plugin(["nope", "-n", "nowhere"]);
  assert.deepEqual(
    [noNamespace.code, noNamespace.stderr],
    [1, 'error: namespace "nowhere" not found\n  fix: kubectl get namespaces, then give -n NAME\n'],
  );
  const noContainer = await plugin(["counter", "-n", namespace, "-c", "nope"]);
  assert.deepEqual(
    [noContainer.code, noContainer.stderr],
    [2, "error: pod/counter has no container nope\n  fix: -c takes one of: counter\n"],
  );
});

clusterTest("apiserver unreachable, wrong CA, another name, no kubeconfig", async (t) => {
  const directory = await temporaryDirectory(t);
  const other = join(directory, "other.crt");
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-subj",
      "/CN=other",
      "-days",
      "1",
      "-keyout",
      join(directory, "other.key"),
      "-out",
      other,
    ],
    { stdio: "ignore" },
  );
  const cases: [string[], NodeJS.ProcessEnv, RegExp][] = [
    [
      ["--server", "https://127.0.0.1:1"],
      {},
      /^error: cannot reach the API server https:\/\/127\.0\.0\.1:1\n {2}why: connect ECONNREFUSED/,
    ],
    [["--server", "https://no-such-host.invalid"], {}, /^error: cannot reach the API server https:\/\/no-such-host\.invalid\n/],
    [
      ["--certificate-authority", other],
      {},
      /^error: cannot trust the certificate of https:\S+\n {2}why: .*\n {2}fix: check certificate-authority/,
    ],
    [["--tls-server-name", "other.example"], {}, /^error: the certificate of https:\S+ is for another name\n/],
    [
      ["--certificate-authority", join(directory, "none.crt")],
      {},
      /^error: cannot read the certificate-authority \S+none\.crt\n {2}why: ENOENT/,
    ],
    [[], { KUBECONFIG: join(directory, "none") }, /^error: no kubeconfig found\n/],
    [["--kubeconfig", join(directory, "none")], {}, /^error: cannot use the kubeconfig \S+\n/],
    [["--context", "nope"], {}, /^error: context "nope" not found in the kubeconfig\n {2}fix: use one of: /],
  ];
  for (const [args, env, expected] of cases) {
    const { code, stdout, stderr } = await plugin(["counter", "-n", namespace, ...args], { env });
    assert.equal(code, 1, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, expected);
  }
});

clusterTest("a pod that is nowhere yet, one that waits, one that has ended", async () => {
  await apply(
    pod(namespace, "nowhere", [container("c", COUNT)], { spec: { nodeSelector: { "no-such": "label" } } }),
    pod(namespace, "waiting", [container("c", COUNT, { image: "localhost/no-such-image:1", imagePullPolicy: "Never" })]),
    pod(namespace, "done", [container("c", "exit 3")], { spec: { restartPolicy: "Never" } }),
  );
  await kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s", "-n", namespace, "pod/done");
  await kubectl(
    "wait",
    "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImageNeverPull",
    "--timeout=60s",
    "-n",
    namespace,
    "pod/waiting",
  );
  const cases: [string, RegExp][] = [
    [
      "nowhere",
      /^error: pod\/nowhere is not on a node yet: nothing of it is running\n {2}fix: kubectl describe pod nowhere -n e2e-refusals\n/,
    ],
    [
      "waiting",
      /^error: container c in pod\/waiting is not running: only running containers can be checkpointed\n {2}why: it is waiting to start \(ErrImageNeverPull: /,
    ],
    [
      "done",
      /^error: container c in pod\/done is not running: only running containers can be checkpointed\n {2}why: it has ended \(Error, exit status 3\)\n/,
    ],
  ];
  for (const [name, expected] of cases) {
    const { code, stdout, stderr } = await plugin([name, "-n", namespace, "-o", "json"]);
    assert.equal(code, 1);
    assert.match(stderr, expected);
    const [item] = (JSON.parse(stdout) as { items: { nodePath?: string; error: { phase: string; reason: string } }[] }).items;
    assert.equal(item?.error.phase, "checkpoint");
    assert.match(item.error.reason, /^(PodNotScheduled|ContainerNotRunning)$/);
    assert.equal(item.nodePath, undefined);
  }
});
