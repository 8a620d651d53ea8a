import { apiPath, type Connection } from "../cluster/connection.ts";
import type { LivenessProbe } from "../cluster/pods.ts";
import { number, object, string, type Json } from "../model/json.ts";
import { metricsBytes, quantityBytes, residentBytes, workingSets } from "./memory.ts";
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
/** The same call took 5.0 s in all: containerd writes the images twice more. */
const CALL_BYTES_PER_SECOND = 70 * 1024 * 1024;
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
  const memoryBytes =
    residentBytes(summary, target) ??
    workingSets(resources ?? "").get(`${namespace}/${pod}/${target.container}`) ??
    metricsBytes(metrics, target);
  const roomBytes = roomOnDisk(summary, configz);
  return { ...(memoryBytes === undefined ? {} : { memoryBytes }), ...(roomBytes === undefined ? {} : { roomBytes }) };
}

export function frozenSeconds(memoryBytes: number): number {
  return 0.05 + memoryBytes / FREEZE_BYTES_PER_SECOND;
}

/** How long the call may take whose freeze that is. */
export function callSeconds(memoryBytes: number): number {
  return 0.3 + memoryBytes / CALL_BYTES_PER_SECOND;
}

/** Whether the freeze may make the kubelet restart the container. */
export function outlastsProbe({ memoryBytes }: Forecast, probe: LivenessProbe | undefined): boolean {
  if (memoryBytes === undefined || probe === undefined) return false;
  return frozenSeconds(memoryBytes) + probe.timeoutSeconds > probe.periodSeconds * probe.failureThreshold;
}

export function overfillsDisk({ memoryBytes, roomBytes }: Forecast): boolean {
  return memoryBytes !== undefined && roomBytes !== undefined && memoryBytes * DISK_COPIES > roomBytes;
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

function parsed(text: string | undefined): Json {
  try {
    return object(JSON.parse(text ?? "{}"));
  } catch {
    return {};
  }
}
