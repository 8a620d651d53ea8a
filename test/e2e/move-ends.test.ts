// A move that is ended halfway: by a signal nothing is left of it, after kill -9 the same command or doctor ends it; one that is sure to fail
// does nothing. 20 moments with FULL.
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import type { V1Pod, V1PodList } from "@kubernetes/client-node";
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
  getJson,
  kubectl,
  onNode,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  running,
  shareCluster,
  type Ended,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

const namespace = ownNamespace("e2e-move-ends");
const RUN = `${process.pid}-${Date.now()}`;
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: "kube-system" };
/** On a loaded machine a move takes its time. */
const LONG = { timeout: 300_000 };
const MOVING = "checkpoint.kubectl/moving";

shareCluster();

function words(name: string, ...more: string[]): string[] {
  const image = `${REGISTRY}/e2e/${name}-${RUN}:1`;
  return ["move", name, "--to", "node2", "--image", image, "--ca-file", CA, "-n", namespace, "--yes", ...more];
}

/** Ends the move when this has been seen on its stderr (each request is a line of it), or after so many milliseconds. */
async function ended(name: string, signal: NodeJS.Signals, when: RegExp | number, ...more: string[]): Promise<Ended> {
  const end = (child: ChildProcess): void => {
    if (typeof when === "number") return void setTimeout(() => child.kill(signal), when);
    let seen = "";
    const look = (text: string): void => {
      seen += text;
      if (!when.test(seen)) return;
      // Once: the second signal ends a command at once.
      child.stderr?.off("data", look);
      child.kill(signal);
    };
    child.stderr?.on("data", look);
  };
  return await plugin(words(name, "-v=6", ...more), { env, started: end });
}

/** A line of -v=6: the request was answered. */
function request(verb: string, url: string): RegExp {
  return new RegExp(`verb="${verb}" url="[^"]*${url}`);
}

/** Of a pod and its copies: those that run or may run. */
async function live(name: string): Promise<V1Pod[]> {
  const { items } = await getJson<V1PodList>("pods", "-n", namespace);
  return items.filter(({ metadata }) => metadata?.name?.replace(/-node2$/, "") === name && metadata.deletionTimestamp === undefined);
}

async function start(name: string, more: object = {}): Promise<void> {
  await apply(pod(namespace, name, [container(name, COUNT)], { node: "node1", labels: { app: name }, ...more }));
  await running(namespace, name);
}

async function archives(name: string): Promise<string> {
  return await onNode("node1", "sh", "-c", `ls /var/lib/kubelet/checkpoints | grep 'checkpoint-${name}_${namespace}' || true`);
}

/** Exactly one runs, where it is said; nothing else is left. Whether it has moved. */
async function endsWell(name: string, ended: Ended): Promise<boolean> {
  // Without the requests. Where the signal came last of all, the result has been printed.
  const stderr = ended.stderr.replaceAll(/^I\d.*\n/gm, "") + ended.stdout;
  await eventually(async () => (await live(name)).length === 1, "one pod");
  const [only] = await live(name);
  assert.equal(only?.metadata?.labels?.[MOVING], undefined, stderr);
  assert.equal(only?.metadata?.labels?.["app"], name, stderr);
  assert.equal(only.status?.containerStatuses?.[0]?.state?.running === undefined, false, stderr);
  const moved = only.metadata.name !== name;
  const said = moved ? /took over from|moved from node1/ : /was not moved: (it is running on node1|nothing was done)|^error: /m;
  // Node.js' own start can be ended too: then nothing was asked.
  if (moved || stderr !== "") assert.match(stderr, said);
  return moved;
}

const MOMENTS: readonly [string, RegExp][] = [
  ["frozen", request("POST", "/proxy/checkpoint/")],
  ["the copy is made", request("POST", `/namespaces/${namespace}/pods"`)],
  ["the copy runs", request("GET", "/log\\?")],
  ["the original is deleted", request("DELETE", `/namespaces/${namespace}/pods/`)],
];

for (const [index, [what, when]] of MOMENTS.entries()) {
  const signal = index % 2 === 0 ? "SIGINT" : "SIGTERM";
  clusterTest(
    `${signal}, ${what}: exactly one runs, and it is said which`,
    async () => {
      const name = `signal-${index}-${process.pid}`;
      await start(name);
      const end = await ended(name, signal, when);
      assert.ok([130, 143, 0].includes(end.code ?? -1), end.stderr);
      await endsWell(name, end);
      // There is no time for another helper pod: an archive that stays is named.
      if ((await archives(name)) !== "") assert.match(end.stderr, /kubectl checkpoint rm node1:/);
      await kubectl("delete", "pods", "-n", namespace, "--all", "--wait=false");
    },
    { ...LONG, full: index < 2 },
  );
}

clusterTest(
  "20 moments of a move, each ended by a signal: exactly one runs",
  async (t) => {
    if (process.env["FULL"] === undefined) return t.skip("FULL is not set: 20 moves");
    const began = performance.now();
    await start("measured");
    assert.equal((await plugin(words("measured"), { env })).code, 0);
    const whole = performance.now() - began;
    const failures: string[] = [];
    for (let moment = 1; moment <= 20; moment += 1) {
      const name = `moment-${moment}`;
      await start(name);
      const end = await ended(name, moment % 2 === 0 ? "SIGINT" : "SIGTERM", (whole * moment) / 20);
      await endsWell(name, end).catch((error: unknown) => failures.push(`moment ${moment}: ${String(error)}`));
      await kubectl("delete", "pods", "-n", namespace, "--all", "--wait=false");
    }
    assert.deepEqual(failures, []);
  },
  { timeout: 1_200_000 },
);

clusterTest("kill -9 while the copy starts: a second copy without labels; doctor names it, the same move ends it", async () => {
  await start("killed");
  await ended("killed", "SIGKILL", request("POST", `/namespaces/${namespace}/pods"`));
  const both = await live("killed");
  assert.deepEqual(new Set(both.map(({ metadata }) => metadata?.name)), new Set(["killed", "killed-node2"]));
  const copy = both.find(({ metadata }) => metadata?.name === "killed-node2");
  assert.deepEqual([copy?.metadata?.labels?.["app"], copy?.metadata?.labels?.[MOVING]], [undefined, "copy"]);
  const { stdout } = await plugin(["doctor", "killed", "-n", namespace], { env });
  assert.match(stdout, /^warn +moves +pod\/killed-node2 in namespace e2e-move-ends is a second copy of pod\/killed, which is running/m);
  assert.match(stdout, /kubectl delete pod killed-node2 -n e2e-move-ends/);
  const unasked = await plugin(
    words("killed").filter((word) => word !== "--yes"),
    { env },
  );
  assert.equal(unasked.code, 2);
  assert.match(unasked.stderr, /a move of pod\/killed is running, or was killed: pod\/killed-node2 is a second copy of it/);
  const again = await plugin(words("killed"), { env });
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /warning: pod\/killed-node2, left by an earlier move of pod\/killed, was deleted/);
  assert.equal(await endsWell("killed", again), true);
});

clusterTest(
  "kill -9 after the deletion: the same move gives the copy its labels",
  async () => {
    await start("late");
    await ended("late", "SIGKILL", request("DELETE", `/namespaces/${namespace}/pods/late"`));
    await eventually(async () => (await live("late")).length === 1, "the original is gone");
    const [copy] = await live("late");
    assert.equal(copy?.metadata?.name, "late-node2");
    // Where the command was faster than the signal, the labels are there: as they were a moment before.
    const from = { name: "late", uid: "00000000-0000-0000-0000-000000000000", node: "node1" };
    const record = JSON.stringify({ from, container: "late", frozenAt: "2026-11-30T12:00:00.000Z", labels: { app: "late" } });
    await kubectl("label", "pod", "late-node2", "-n", namespace, "--overwrite", "app-", `${MOVING}=copy`);
    await kubectl("annotate", "pod", "late-node2", "-n", namespace, "--overwrite", `${MOVING}=${record}`);
    const { stdout } = await plugin(["doctor", "-n", namespace], { env });
    assert.match(
      stdout,
      /^warn +moves +pod\/late-node2 in namespace e2e-move-ends took over from pod\/late, but does not have its labels yet/m,
    );
    const again = await plugin(words("late"), { env });
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /^pod\/late moved from node1 to node2 as pod\/late-node2/);
    assert.equal(await endsWell("late", again), true);
  },
  { full: true },
);

clusterTest("--quiesce: no endpoint while it is frozen; back in its Service where the move fails", async () => {
  await start("served", { spec: {} });
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "served", namespace },
    spec: { selector: { app: "served" }, ports: [{ port: 80 }] },
  };
  await apply(service);
  const endpoints = async (): Promise<string> =>
    (
      await kubectl(
        "get",
        "endpointslices",
        "-n",
        namespace,
        "-l",
        "kubernetes.io/service-name=served",
        "-o",
        "jsonpath={.items[*].endpoints[*].targetRef.name}",
      )
    ).stdout;
  await eventually(async () => (await endpoints()) === "served", "an endpoint");
  const end = await ended("served", "SIGTERM", request("POST", "/proxy/checkpoint/"), "--quiesce");
  assert.match(end.stderr, /pod\/served has its labels again: it is back in its Services \(served\)/);
  assert.equal(await endsWell("served", end), false);
  await eventually(async () => (await endpoints()) === "served", "the endpoint again");
  const whole = await plugin(words("served", "--quiesce"), { env });
  assert.equal(whole.code, 0, whole.stderr);
  assert.doesNotMatch(whole.stderr, /^warning: lost|between the freeze/m);
  await eventually(async () => (await endpoints()) === "served-node2", "the endpoint of the copy");
});

clusterTest("what is sure to fail is refused before anything is done: no checkpoint, no push, no pod", async (t) => {
  await start("refused");
  const kubeconfig = (await cluster("user", "e2e-mover")).trim();
  await kubectl("create", "clusterrolebinding", "e2e-mover", "--clusterrole=view", "--user=e2e-mover");
  await kubectl("create", "clusterrole", "e2e-mover-proxy", "--verb=create", "--resource=nodes/proxy");
  await kubectl("create", "clusterrolebinding", "e2e-mover-proxy", "--clusterrole=e2e-mover-proxy", "--user=e2e-mover");
  t.after(async () => {
    await kubectl("delete", "clusterrolebinding", "e2e-mover", "e2e-mover-proxy");
    await kubectl("delete", "clusterrole", "e2e-mover-proxy");
    await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce-");
  });
  const since = auditEnd();
  const refused = async (reason: RegExp, more: readonly string[] = []): Promise<void> => {
    const { code, stderr } = await plugin(words("refused", ...more), { env });
    assert.ok(code === 1 || code === 2, stderr);
    assert.match(stderr, reason);
  };
  await eventually(async () => (await kubectl("get", "pods", "-n", namespace, "--kubeconfig", kubeconfig)).code === 0, "the role");
  await refused(/is missing these permissions: .*create pods in namespace e2e-move-ends.*delete pods/, ["--kubeconfig", kubeconfig]);
  await refused(/cannot be created|invalid value|refused the pod as invalid/, ["--name", "Not_A_Name"]);
  await refused(/error: .*\n/, ["--image", `${REGISTRY.replace(/:\d+$/, ":5001")}/e2e/refused:1`]);
  await refused(/node node77 not found/, ["--to", "node77"]);
  await kubectl("create", "quota", "none", "--hard=pods=1", "-n", namespace);
  await eventually(
    async () => (await kubectl("get", "quota", "none", "-n", namespace, "-o", "jsonpath={.status.hard.pods}")).stdout === "1",
    "the quota",
  );
  await refused(/the pod was refused in namespace e2e-move-ends; it was not created\n {2}why: .*exceeded quota/);
  await kubectl("delete", "quota", "none", "-n", namespace);
  const taken = pod(namespace, "refused-node2", [container("other", COUNT)]);
  await apply(taken);
  await refused(/pod\/refused-node2 already exists/);
  await kubectl("delete", "pod", "refused-node2", "-n", namespace, "--grace-period=0", "--force");
  await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted");
  await refused(/violates PodSecurity/);
  assert.deepEqual(audited(`/proxy/checkpoint/${namespace}/`, since), []);
  const creations = audited(`/namespaces/${namespace}/pods`, since).filter(
    ({ verb, requestURI, stage }) => verb === "create" && stage === "ResponseComplete" && !requestURI.includes("dryRun=All"),
  );
  assert.deepEqual(
    creations.map(({ requestURI }) => requestURI).filter((uri) => !uri.includes("fieldManager=kubectl")),
    [],
  );
  assert.equal(await statusOf(`/v2/e2e/refused-${RUN}/tags/list`), 404, "no such repository");
  assert.equal(await archives("refused"), "");
});

async function statusOf(path: string): Promise<number | undefined> {
  const [answer] = (await once(get(`https://${REGISTRY}${path}`, { ca: readFileSync(CA) }), "response")) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}
