// A move under an API server that is killed between each two of its steps: there is never none of the pod, and one in the end.
import "./apart.ts";
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { V1JobList, V1PodList } from "@kubernetes/client-node";
import { FaultyApi, isCheckpoint, type Fate, type Passing } from "./faulty-api.ts";
import {
  apply,
  BUSYBOX,
  claimCluster,
  cluster,
  clusterTest,
  container,
  counting,
  eventually,
  getJson,
  onNode,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  running,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

claimCluster();

const namespace = ownNamespace("e2e-move-killed");
const RUN = `${process.pid}-${Date.now()}`;

interface Step {
  readonly name: string;
  readonly is: (passing: Passing, pod: string) => boolean;
  /** Before the API server has the request; once it is carried out, so that its answer is lost; or when its answer has arrived. */
  readonly when: "asked" | "answered" | "handed on";
}

const path = (pattern: RegExp, method: string) => (passing: Passing) => passing.method === method && pattern.test(passing.path);
const created = path(/\/namespaces\/e2e-move-killed\/pods$/, "POST");

const deleted = (passing: Passing, name: string): boolean => passing.method === "DELETE" && passing.path.endsWith(`/pods/${name}`);

/** In the order in which a move has them. Without FULL only those that decide which of both pods there are. */
const STEPS: readonly Step[] = [
  { name: "the pod", is: path(/\/pods\/[^/?]+$/, "GET"), when: "handed on" },
  { name: "the checkpoint", is: isCheckpoint, when: "handed on" },
  { name: "the archive's way", is: path(/\/(portforward|exec)\?/, "GET"), when: "asked" },
  { name: "the new pod", is: created, when: "asked" },
  { name: "the new pod", is: created, when: "answered" },
  { name: "the original's end", is: deleted, when: "asked" },
  { name: "the original's end", is: deleted, when: "answered" },
  { name: "a helper pod's end", is: path(/\/jobs\/[^/]+$/, "DELETE"), when: "asked" },
];

async function killed(api: FaultyApi): Promise<void> {
  api.refuse();
  await cluster("apiserver", "kill");
  await cluster("apiserver", "start");
  await api.accept();
}

/** How many containers of the pod there are on both nodes, whatever the API server knows. */
async function alive(token: string): Promise<number> {
  // Not the shell that looks.
  const pattern = token.replace("token", "toke[n]");
  const look = ["sh", "-c", `grep -l 'echo ${pattern} ' /proc/[0-9]*/cmdline 2>/dev/null | wc -l`];
  const counts = await Promise.all(["node1", "node2"].map(async (node) => Number(await onNode(node, ...look))));
  return counts.filter((count) => count > 0).length;
}

async function moveUnder(t: TestContext, name: string, steps: readonly Step[]): Promise<void> {
  const api = await FaultyApi.start(t);
  const token = `token-${name}-${RUN}`;
  await apply(pod(namespace, name, [container("c", counting(`${token} $i`))], { node: "node1" }));
  await running(namespace, name);
  const left = [...steps];
  const done: string[] = [];
  const meet = async (passing: Passing, when: Step["when"]): Promise<void> => {
    const [next] = left;
    if (next?.when !== when || !next.is(passing, name)) return;
    left.shift();
    done.push(`${next.name} (${when})`);
    await killed(api);
  };
  api.decide = async (passing): Promise<Fate> => {
    await meet(passing, "asked");
    return "passed";
  };
  api.met = meet;
  const few: number[] = [];
  const ended = new AbortController();
  const watching = (async () => {
    for (; !ended.signal.aborted; await sleep(300)) few.push(await alive(token));
  })();
  const env = { KUBECONFIG: api.kubeconfig, KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
  const image = `${REGISTRY}/e2e/${name}-${RUN}:1`;
  const { code, stdout, stderr } = await plugin(
    ["move", name, "--to", "node2", "--image", image, "--ca-file", CA, "-n", namespace, "--yes"],
    { env },
  );
  ended.abort();
  await watching;
  const said = `killed at: ${done.join(", ")}; exit ${code}\n${stdout}${stderr}`;
  assert.ok(
    few.every((count) => count > 0),
    `none for a moment: ${few.join(" ")}\n${said}`,
  );
  await eventually(async () => (await alive(token)) === 1, `exactly one; ${said}`);
  const { items } = await getJson<V1PodList>("pods", "-n", namespace);
  const pods = items.filter(({ metadata }) => metadata?.name?.startsWith(name) === true && metadata.deletionTimestamp === undefined);
  assert.equal(pods.length, 1, `${pods.map(({ metadata }) => metadata?.name).join()}; ${said}`);
  assert.ok(pods[0]?.status?.containerStatuses?.[0]?.state?.running);
  // One whose end the API server did not hear of ends by its watchdog, within two minutes.
  await eventually(async () => (await getJson<V1JobList>("jobs", "-n", namespace)).items.length === 0, `no helper is left; ${said}`, 150);
  assert.deepEqual([code, pods[0]?.metadata?.name], [0, `${name}-node2`], said);
  assert.deepEqual(left, [], said);
}

if (process.env["FULL"] === undefined) {
  const deciding = STEPS.filter(({ name, when }) => when === "answered" || name === "the checkpoint");
  clusterTest("around its deciding steps", async (t) => await moveUnder(t, "deciding", deciding), { timeout: 600_000 });
} else {
  clusterTest("between all of its steps", async (t) => await moveUnder(t, "all", STEPS), { timeout: 900_000 });
  for (const [index, step] of STEPS.entries()) {
    clusterTest(`${step.name}, ${step.when}: alone`, async (t) => await moveUnder(t, `alone-${index}`, [step]), { timeout: 300_000 });
  }
}
