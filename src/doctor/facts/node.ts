import { isAllowed } from "../../cluster/access.ts";
import { apiPath, type Connection } from "../../cluster/connection.ts";
import { getNode, type ClusterNode } from "../../cluster/nodes.ts";
import { readNode } from "../../kubelet/forecast.ts";
import { probeKubelet, type Probe } from "../../kubelet/probe.ts";
import type { UserError } from "../../model/error.ts";
import { object, string } from "../../model/json.ts";
import { KUBELET_RIGHT } from "../rights.ts";
import { orError } from "./cluster.ts";

/** What can be seen of a node from outside. */
export interface NodeFacts {
  readonly name: string;
  readonly node: ClusterNode | UserError;
  /** Of the API server: "v1.36.3". */
  readonly serverVersion: string;
  readonly probe: Probe;
  /** Where the kubelet refuses the API server's user: whether that user has the right by now; undefined where that may not be asked. */
  readonly granted: boolean | undefined;
  /** Of the kubelet's configuration, as Go writes durations; undefined where it may not be read. */
  readonly runtimeRequestTimeout: string | undefined;
  /** Left above what the eviction threshold reserves; undefined where it may not be read. */
  readonly roomBytes: number | undefined;
}

const TIMEOUT_MS = 5000;

/** Throws no UserError. */
export async function askNode(connection: Connection, name: string, serverVersion: string): Promise<NodeFacts> {
  const [node, probe, runtimeRequestTimeout, { roomBytes }] = await Promise.all([
    orError(async () => await getNode(connection, name)),
    probeKubelet(connection, name),
    timeoutOf(connection, name),
    readNode(connection, name, TIMEOUT_MS),
  ]);
  const granted =
    probe.identity === undefined
      ? undefined
      : await isAllowed(connection, KUBELET_RIGHT, { kind: "user", name: probe.identity }).catch(() => undefined);
  return { name, node, serverVersion, probe, granted, runtimeRequestTimeout, roomBytes };
}

async function timeoutOf(connection: Connection, node: string): Promise<string | undefined> {
  const path = apiPath`/api/v1/nodes/${node}/proxy/configz`;
  const answer = await connection.call({ path, timeoutMs: TIMEOUT_MS }).catch(() => undefined);
  if (answer?.status !== 200) return undefined;
  try {
    return string(object(object(JSON.parse(answer.text))["kubeletconfig"])["runtimeRequestTimeout"]) || undefined;
  } catch {
    return undefined;
  }
}
