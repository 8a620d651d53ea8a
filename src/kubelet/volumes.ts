import { apiPath, type Connection } from "../cluster/connection.ts";
import { list, number, object, string, type Json } from "../model/json.ts";

/**
 * Bytes that volumes of pods use, of the kubelets' /stats/summary, by "UID/NAME" (needs get nodes/proxy). They are up to a minute old. What
 * may not be read, or does not come in time, is left out. Never throws.
 */
export async function podVolumeBytes(connection: Connection, nodes: readonly string[], timeoutMs: number): Promise<Map<string, number>> {
  const signal = AbortSignal.timeout(timeoutMs);
  const found = new Map<string, number>();
  const summary = async (node: string): Promise<Json> => {
    const answer = await connection.call({ path: apiPath`/api/v1/nodes/${node}/proxy/stats/summary`, signal }).catch(() => undefined);
    try {
      return answer?.status === 200 ? object(JSON.parse(answer.text)) : {};
    } catch {
      return {};
    }
  };
  for (const one of await Promise.all([...new Set(nodes)].map(summary))) {
    for (const pod of list(one["pods"]).map(object)) {
      for (const volume of list(pod["volume"]).map(object)) {
        const bytes = number(volume["usedBytes"]);
        if (bytes !== undefined) found.set(`${string(object(pod["podRef"])["uid"])}/${string(volume["name"])}`, bytes);
      }
    }
  }
  return found;
}
