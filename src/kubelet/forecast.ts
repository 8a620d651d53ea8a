import { apiPath, type Connection } from "../cluster/connection.ts";
import type { LivenessProbe } from "../cluster/pods.ts";
import { list, number, object, string, type Json } from "../model/json.ts";
import type { CheckpointTarget } from "./target.ts";

/** What a checkpoint will probably cost, as far as this user may read it. Sizes in bytes. */
export interface Forecast {
  /** Memory that the archive will hold. */
  readonly memoryBytes?: number;
  /** Left on the node's file system, above what its eviction threshold reserves. */
  readonly roomBytes?: number;
}

/** CRIU froze redis with 345 MiB for 1.2 s: on the slow side of what was seen. */
const FREEZE_BYTES_PER_SECOND = 250 * 1024 * 1024;
/** CRIU's images go to the node's /tmp before they become the archive: both are on the disk for a moment. */
const DISK_COPIES = 2;
const DEFAULT_EVICTION = "10%";

/**
 * Asks the kubelet (needs get nodes/proxy) or else metrics.k8s.io, all at once, and takes what has arrived in time:
 * nobody waits for a forecast. Never throws.
 */
export async function forecast(connection: Connection, target: CheckpointTarget, timeoutMs: number): Promise<Forecast> {
  const signal = AbortSignal.timeout(timeoutMs);
  const get = async (path: string): Promise<string | undefined> => {
    const answer = await connection.call({ path, signal }).catch(() => undefined);
    return answer?.status === 200 ? answer.text : undefined;
  };
  const { node, namespace, pod } = target;
  const [summary, resources, configz, metrics] = await Promise.all([
    get(apiPath`/api/v1/nodes/${node}/proxy/stats/summary`).then(parsed),
    get(apiPath`/api/v1/nodes/${node}/proxy/metrics/resource`),
    get(apiPath`/api/v1/nodes/${node}/proxy/configz`).then(parsed),
    get(apiPath`/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods/${pod}`).then(parsed),
  ]);
  const memoryBytes = residentBytes(summary, target) ?? workingSetBytes(resources ?? "", target) ?? metricsBytes(metrics, target);
  const roomBytes = roomOnDisk(summary, configz);
  return { ...(memoryBytes === undefined ? {} : { memoryBytes }), ...(roomBytes === undefined ? {} : { roomBytes }) };
}

export function frozenSeconds(memoryBytes: number): number {
  return 0.05 + memoryBytes / FREEZE_BYTES_PER_SECOND;
}

/** Whether the freeze may make the kubelet restart the container. */
export function outlastsProbe({ memoryBytes }: Forecast, probe: LivenessProbe | undefined): boolean {
  if (memoryBytes === undefined || probe === undefined) return false;
  return frozenSeconds(memoryBytes) + probe.timeoutSeconds > probe.periodSeconds * probe.failureThreshold;
}

export function overfillsDisk({ memoryBytes, roomBytes }: Forecast): boolean {
  return memoryBytes !== undefined && roomBytes !== undefined && memoryBytes * DISK_COPIES > roomBytes;
}

function residentBytes(summary: Json, { namespace, pod, container }: CheckpointTarget): number | undefined {
  const stats = list(summary["pods"])
    .map(object)
    .find((one) => string(object(one["podRef"])["name"]) === pod && string(object(one["podRef"])["namespace"]) === namespace);
  return number(object(named(object(stats)["containers"], container)["memory"])["rssBytes"]);
}

/** A line of Prometheus text: container_memory_working_set_bytes{container="c",namespace="n",pod="p"} 1.2e+06 1700000000000. */
function workingSetBytes(text: string, { namespace, pod, container }: CheckpointTarget): number | undefined {
  for (const [, labels = "", value] of text.matchAll(/^container_memory_working_set_bytes\{([^}]*)\} (\S+)/gm)) {
    const wanted = [`container="${container}"`, `namespace="${namespace}"`, `pod="${pod}"`];
    if (wanted.every((label) => labels.split(",").includes(label))) return number(Number(value));
  }
  return undefined;
}

function metricsBytes(metrics: Json, { container }: CheckpointTarget): number | undefined {
  return quantityBytes(string(object(named(metrics["containers"], container)["usage"])["memory"]), 0);
}

function roomOnDisk(summary: Json, configz: Json): number | undefined {
  const fs = object(object(summary["node"])["fs"]);
  const available = number(fs["availableBytes"]);
  const capacity = number(fs["capacityBytes"]);
  if (available === undefined || capacity === undefined) return undefined;
  const hard = object(object(configz["kubeletconfig"])["evictionHard"]);
  const reserved = quantityBytes(string(hard["nodefs.available"]) || DEFAULT_EVICTION, capacity);
  return reserved === undefined ? undefined : Math.max(0, available - reserved);
}

/** A Kubernetes quantity, or a percentage of the whole. */
function quantityBytes(text: string, whole: number): number | undefined {
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

function parsed(text: string | undefined): Json {
  try {
    return object(JSON.parse(text ?? "{}"));
  } catch {
    return {};
  }
}
