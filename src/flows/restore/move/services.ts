import { setTimeout as sleep } from "node:timers/promises";
import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { listAll } from "../../../cluster/lists.ts";
import type { Pod } from "../../../cluster/pods.ts";
import { waitFor } from "../../../cluster/watch.ts";
import { list, object, string } from "../../../model/json.ts";
import { joined, say } from "../../../model/phrase.ts";
import { MOVING } from "../../../restore/pod.ts";
import type { FlowContext } from "../../context.ts";
import type { Taken, Undo } from "../undo.ts";
import { finishCommand, finished, type QuietRecord } from "./leftovers.ts";

/** The Services that lead to a pod, and the labels that they find it by. */
export interface Selecting {
  readonly services: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Throws an ApiFailure where Services may not be listed. */
export async function selecting({ connection }: FlowContext, { namespace, object: pod }: Pod): Promise<Selecting> {
  const labels = object(object(pod["metadata"])["labels"]);
  const { items } = await listAll(connection, { path: apiPath`/api/v1/namespaces/${namespace}/services` });
  const found = items.flatMap((service) => {
    const wanted = Object.entries(object(object(service["spec"])["selector"]));
    const selects = wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
    return selects ? [{ name: string(object(service["metadata"])["name"]), wanted }] : [];
  });
  const wanted = found.flatMap((service) => service.wanted.map(([key, value]): [string, string] => [key, string(value)]));
  return { services: found.map(({ name }) => name), labels: Object.fromEntries(wanted) };
}

/** Endpoints follow within a second, and the nodes' tables of addresses another one later. */
const DRAIN_MS = 10_000;
const TABLES_MS = 1000;

/**
 * Takes the pod out of its Services: the labels that they select it by are taken off, and put back where this is undone. An annotation says
 * which, for whoever finds the pod so. Waits until no endpoint of a Service leads to it any more.
 */
export async function quiesce(
  context: FlowContext,
  pod: Pod,
  { services, labels }: Selecting,
  copy: string,
  to: string,
  undo: Undo,
): Promise<Taken> {
  const { connection, emit, signal } = context;
  const { namespace, name, uid } = pod;
  if (services.length === 0) {
    emit({ kind: "hint", text: say`note: no Service selects pod/${name}: --quiesce has nothing to do` });
    return { keep: () => {} };
  }
  const path = apiPath`/api/v1/namespaces/${namespace}/pods/${name}`;
  const patch = async ({ metadata }: { metadata: object }): Promise<void> => {
    // The uid: another pod of that name is not this one.
    const request = {
      method: "PATCH",
      path,
      body: { metadata: { ...metadata, uid } },
      contentType: "application/merge-patch+json",
    } as const;
    await callJson(connection, { ...request, repeatable: true, evenAfterAbort: true, signal: undo.last });
  };
  const taken = undo.add({
    what: say`put the labels of pod/${name} back`,
    byHand: say`It is out of its Services until you do: ${finishCommand(namespace, name, labels)}`,
    back: async () => {
      await patch(finished(labels)).catch((error: unknown) => {
        if (!(error instanceof ApiFailure && (error.status === 404 || error.status === 409))) throw error;
      });
      emit({ kind: "warning", text: say`pod/${name} has its labels again: it is back in its Services (${joined(services, ", ")})` });
    },
  });
  const record: QuietRecord = { to, copy, labels };
  const none = Object.fromEntries(Object.keys(labels).map((key) => [key, null]));
  await patch({ metadata: { labels: { ...none, [MOVING]: "original" }, annotations: { [MOVING]: JSON.stringify(record) } } });
  signal.throwIfAborted();
  const lane = `quiesce ${namespace}/${name}`;
  emit({ kind: "activity", lane, text: say`taking pod/${name} out of its Services (${joined(services, ", ")})` });
  try {
    await drained(context, pod);
  } finally {
    emit({ kind: "idle", lane });
  }
  return taken;
}

async function drained({ connection, emit, signal }: FlowContext, { namespace, name, uid }: Pod): Promise<void> {
  const path = apiPath`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  const late = AbortSignal.timeout(DRAIN_MS);
  try {
    await waitFor(connection, { path, signal: AbortSignal.any([signal, late]) }, (slices) =>
      slices.some((slice) => list(slice["endpoints"]).some((one) => object(object(one)["targetRef"])["uid"] === uid)) ? undefined : true,
    );
  } catch (error) {
    signal.throwIfAborted();
    const why = late.aborted ? say`its endpoints are still there after 10 s` : say`endpoints may not be read`;
    emit({ kind: "warning", text: say`whether clients still reach pod/${name} through its Services is unknown: ${why}` });
    if (!late.aborted && !(error instanceof ApiFailure)) throw error;
  }
  await sleep(TABLES_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
}
