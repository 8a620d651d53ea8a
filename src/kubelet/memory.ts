import { apiPath, type Connection } from "../cluster/connection.ts";
import { list, number, object, string, type Json } from "../model/json.ts";
import type { CheckpointTarget } from "./target.ts";

/** What the containers of a node hold in memory, by "namespace/pod/container"; empty where it may not be read. Never throws. */
export async function memoryOnNode(connection: Connection, node: string): Promise<Map<string, number>> {
  const answer = await connection.call({ path: apiPath`/api/v1/nodes/${node}/proxy/metrics/resource` }).catch(() => undefined);
  return workingSets(answer?.status === 200 ? answer.text : "");
}

/** Resident memory, of the kubelet's /stats/summary, by "namespace/pod/container". */
export function residentSets(summary: Json): Map<string, number> {
  const found = new Map<string, number>();
  for (const pod of list(summary["pods"]).map(object)) {
    const { name, namespace } = object(pod["podRef"]);
    for (const container of list(pod["containers"]).map(object)) {
      const bytes = number(object(container["memory"])["rssBytes"]);
      if (bytes !== undefined) found.set(`${string(namespace)}/${string(name)}/${string(container["name"])}`, bytes);
    }
  }
  return found;
}

/**
 * From Prometheus text, by "namespace/pod/container":
 * container_memory_working_set_bytes{container="c",namespace="n",pod="p"} 1.2e+06 1700000000000.
 */
export function workingSets(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, labels = "", value] of text.matchAll(/^container_memory_working_set_bytes\{([^}]*)\} (\S+)/gm)) {
    const label = Object.fromEntries(labels.split(",").map((pair) => pair.replaceAll('"', "").split("=")));
    const bytes = number(Number(value));
    if (bytes !== undefined) found.set(`${label["namespace"]}/${label["pod"]}/${label["container"]}`, bytes);
  }
  return found;
}

/** Of a PodMetrics of metrics.k8s.io. */
export function metricsBytes(metrics: Json, { container }: CheckpointTarget): number | undefined {
  return quantityBytes(string(object(named(metrics["containers"], container)["usage"])["memory"]), 0);
}

/** A Kubernetes quantity, or a percentage of the whole. */
export function quantityBytes(text: string, whole: number): number | undefined {
  const [, digits, unit = ""] = /^([\d.]+)(%|[KMGTP]i?|k|m)?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const scale = {
    "": 1,
    "%": whole / 100,
    m: 1e-3,
    k: 1e3,
    K: 1e3,
    M: 1e6,
    G: 1e9,
    T: 1e12,
    P: 1e15,
    Ki: 2 ** 10,
    Mi: 2 ** 20,
    Gi: 2 ** 30,
    Ti: 2 ** 40,
    Pi: 2 ** 50,
  };
  return number(Number(digits) * scale[unit as keyof typeof scale]);
}

function named(values: unknown, name: string): Json {
  return object(list(values).find((one) => string(object(one)["name"]) === name));
}
