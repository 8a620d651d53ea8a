import { apiPath, type Connection } from "../cluster/connection.ts";
import type { LivenessProbe } from "../cluster/pods.ts";
import { number, object, string, type Json } from "../model/json.ts";
import { metricsBytes, quantityBytes, residentSets, workingSets } from "./memory.ts";
import type { CheckpointTarget } from "./target.ts";

/** What a checkpoint will probably cost, as far as this user may read it. Sizes in bytes. */
export interface Forecast {
  /** Memory that the archive will hold. */
  readonly memoryBytes?: number;
  /** Left on the node's file system, above what its eviction threshold reserves. */
  readonly roomBytes?: number;
  /** Why the memory is not known: it may not be read, the kubelet has no figure of this container (yet), or nothing answered in time. */
  readonly unknown?: "forbidden" | "absent" | "unanswered";
}

/** The call took 5.0 s for redis with 345 MiB: containerd writes the images twice more. */
const CALL_BYTES_PER_SECOND = 70 * 1024 * 1024;
/** Below this neither the pause nor the disk is a matter. */
const WORTH_A_LOOK = 64 * 1024 * 1024;
/** CRIU's images go to the node's /tmp before they become the archive: both are on the disk for a moment. */
const DISK_COPIES = 2;
const DEFAULT_EVICTION = "10%";

/**
 * Asks the kubelet (needs get nodes/proxy), else metrics.k8s.io, what the container holds in memory; where that is much,
 * also what room the node's disk has. What has not arrived in time is left out: nobody waits for a forecast. Never throws.
 */
export async function forecast(connection: Connection, target: CheckpointTarget, timeoutMs: number): Promise<Forecast> {
  const signal = AbortSignal.timeout(timeoutMs);
  let refused = false;
  const get = async (path: string): Promise<string | undefined> => {
    const answer = await connection.call({ path, signal }).catch(() => undefined);
    refused ||= answer?.status === 403;
    return answer?.status === 200 ? answer.text : undefined;
  };
  const { node, namespace, pod, container } = target;
  const proxy = apiPath`/api/v1/nodes/${node}/proxy`;
  const resources = await get(`${proxy}/metrics/resource`);
  const workingSet =
    resources === undefined
      ? metricsBytes(parsed(await get(apiPath`/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods/${pod}`)), target)
      : workingSets(resources).get(`${namespace}/${pod}/${container}`);
  if (workingSet === undefined) return { unknown: resources !== undefined ? "absent" : refused ? "forbidden" : "unanswered" };
  if (workingSet < WORTH_A_LOOK) return { memoryBytes: workingSet };
  const [summary, configz] = await Promise.all([get(`${proxy}/stats/summary`).then(parsed), get(`${proxy}/configz`).then(parsed)]);
  const roomBytes = roomOnDisk(summary, configz);
  // The working set counts the page cache too, which is not in an archive.
  return {
    memoryBytes: residentSets(summary).get(`${namespace}/${pod}/${container}`) ?? workingSet,
    ...(roomBytes === undefined ? {} : { roomBytes }),
  };
}

/** What a whole node tells: memory by "namespace/pod/container", and the room on its disk. Never throws. */
export async function readNode(
  connection: Connection,
  node: string,
  timeoutMs: number,
): Promise<{ memory: Map<string, number>; roomBytes?: number }> {
  const signal = AbortSignal.timeout(timeoutMs);
  const proxy = apiPath`/api/v1/nodes/${node}/proxy`;
  const get = async (path: string): Promise<string | undefined> => {
    const answer = await connection.call({ path: `${proxy}/${path}`, signal }).catch(() => undefined);
    return answer?.status === 200 ? answer.text : undefined;
  };
  const [summary, configz, resources] = await Promise.all([
    get("stats/summary").then(parsed),
    get("configz").then(parsed),
    get("metrics/resource"),
  ]);
  const memory = new Map([...workingSets(resources ?? ""), ...residentSets(summary)]);
  const roomBytes = roomOnDisk(summary, configz);
  return { memory, ...(roomBytes === undefined ? {} : { roomBytes }) };
}

/**
 * How long the call takes, and an upper bound of the pause: the runtime pauses the container around CRIU, the copying of its images and
 * the change of the root file system. What CRIU itself calls frozen is up to 3.6 times shorter.
 */
export function pausedSeconds(memoryBytes: number): number {
  return 0.3 + memoryBytes / CALL_BYTES_PER_SECOND;
}

/** Whether the pause may make the kubelet restart the container. */
export function outlastsProbe({ memoryBytes }: Forecast, probe: LivenessProbe | undefined): boolean {
  if (memoryBytes === undefined || probe === undefined) return false;
  return pausedSeconds(memoryBytes) + probe.timeoutSeconds > probe.periodSeconds * probe.failureThreshold;
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
