// npm run bench checkpoint: a whole `kubectl checkpoint` process against `kubectl create --raw` of the same POST, on the real cluster.
import { writeFileSync } from "node:fs";
import type { V1Pod } from "@kubernetes/client-node";
import { apply, container, COUNT, getJson, kubectl, NO_CLUSTER, pod, run, running } from "../e2e/harness.ts";
import { medians, printTable } from "./measure.ts";

const ROUNDS = 15;
const namespace = "default";
const name = "bench-checkpoint";

if (NO_CLUSTER !== undefined) throw new Error(NO_CLUSTER);
await apply(pod(namespace, name, [container("counter", COUNT)]));
await running(namespace, name);
const { spec } = await getJson<V1Pod>("pod", name, "-n", namespace);
const path = `/api/v1/nodes/${spec?.nodeName}/proxy/checkpoint/${namespace}/${name}/counter`;
const empty = "/run/kubectl-checkpoint/empty";
writeFileSync(empty, "");

async function timed(...args: string[]): Promise<number> {
  const started = performance.now();
  const { code, stderr } = await run("kubectl", args);
  if (code !== 0) throw new Error(stderr);
  return performance.now() - started;
}

const plain = "kubectl create --raw";
const ours = "kubectl checkpoint";
const times = await medians(
  {
    [plain]: async () => await timed("create", "--raw", path, "-f", empty),
    [ours]: async () => await timed("checkpoint", name, "-n", namespace, "-c", "counter"),
  },
  ROUNDS,
);
await kubectl("delete", "pod", name, "-n", namespace, "--force", "--grace-period=0");
printTable(
  [`whole process, median of ${ROUNDS}`, "ms", "ratio"],
  Object.entries(times).map(([contender, milliseconds]) => [
    contender,
    milliseconds.toFixed(0),
    (milliseconds / (times[plain] ?? NaN)).toFixed(2),
  ]),
);
