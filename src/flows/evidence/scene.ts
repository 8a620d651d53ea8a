import { apiFailure, ApiFailure, type ApiRequest } from "../../cluster/answer.ts";
import { callJson } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import type { FlowContext } from "../context.ts";
import type { CheckpointItem } from "../../model/documents.ts";

/** Of each question: what is not there in time is said to be missing. */
const TIMEOUT_MS = 10_000;
/** Of a container's log, in bytes. */
const LARGEST_LOG = 4 << 20;
const MOST_EVENTS = 500;
export const LOG_LINES = 1000;

/** Of which container. */
export type Of = Pick<CheckpointItem, "namespace" | "pod" | "podUID" | "container">;

/**
 * What the cluster says of a container after its checkpoint, each part with the time when it was asked for: the pod's status, its events, the
 * last `logLines` lines of the container's log (none of 0), its network addresses. What may not be read, or is gone, has `missing` in its
 * place: why. Never rejects.
 */
export async function sceneOf(context: FlowContext, of: Of, logLines: number): Promise<Json> {
  const { namespace, pod, podUID, container } = of;
  const path = apiPath`/api/v1/namespaces/${namespace}/pods/${pod}`;
  const [found, events, log] = await Promise.all([
    part(context, async (signal) => ({ pod: object(await callJson(context.connection, { path, signal })) })),
    part(context, async (signal) => {
      const query = { fieldSelector: `involvedObject.uid=${podUID}`, limit: String(MOST_EVENTS) };
      const { items } = object(
        await callJson(context.connection, { path: apiPath`/api/v1/namespaces/${namespace}/events`, query, signal }),
      );
      return { items: list(items).map(eventOf) };
    }),
    logLines === 0
      ? undefined
      : part(context, async (signal) => await logOf(context, { path: `${path}/log`, container, logLines, signal })),
  ]);
  const { pod: after, ...read } = found;
  const { metadata, status } = object(after);
  const isTheSame = after !== undefined && string(object(metadata)["uid"]) === podUID;
  const gone = after === undefined || isTheSame ? read : { ...read, missing: "the pod was replaced by another one of its name" };
  const { podIPs, hostIPs } = object(status);
  return {
    after: isTheSame ? { ...gone, status } : gone,
    events,
    ...(log === undefined ? {} : { log }),
    network: isTheSame ? { ...gone, podIPs: list(podIPs).map(ipOf), hostIPs: list(hostIPs).map(ipOf) } : gone,
  };
}

/** The node's part of it: out of its API object, which was asked for at that time. */
export function nodeScene(node: Json, readAt: string): Json {
  const { conditions, addresses, nodeInfo } = object(node["status"]);
  if (conditions === undefined) return { readAt, missing: "the node could not be read" };
  return { readAt, conditions, addresses, versions: nodeInfo };
}

async function part(context: FlowContext, read: (signal: AbortSignal) => Promise<Json>): Promise<Json> {
  const readAt = new Date(context.now()).toISOString();
  try {
    return { readAt, ...(await read(AbortSignal.timeout(TIMEOUT_MS))) };
  } catch (error) {
    const why = error instanceof UserError ? `${error.message}${error.why === undefined ? "" : `: ${error.why}`}` : "no answer in time";
    const reason = error instanceof ApiFailure && error.status === 403 ? "not permitted" : undefined;
    return { readAt, missing: reason === undefined ? why : `${reason}: ${why}` };
  }
}

interface LogRequest extends Pick<ApiRequest, "path"> {
  readonly container: string;
  readonly logLines: number;
  readonly signal: AbortSignal;
}

async function logOf({ connection }: FlowContext, { path, container, logLines, signal }: LogRequest): Promise<Json> {
  const query = { container, tailLines: String(logLines), limitBytes: String(LARGEST_LOG), timestamps: "true" };
  const request = { path, query, accept: "*/*", signal };
  const answer = await connection.call(request);
  if (answer.status >= 300) throw apiFailure(answer, request);
  const lines = answer.text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return { asked: logLines, lines };
}

function eventOf(event: unknown): Json {
  const { type, reason, message, count, firstTimestamp, lastTimestamp, eventTime, source, reportingComponent } = object(event);
  return { type, reason, message, count, firstTimestamp, lastTimestamp, eventTime, source, reportingComponent };
}

function ipOf(address: unknown): string {
  return string(object(address)["ip"]);
}
