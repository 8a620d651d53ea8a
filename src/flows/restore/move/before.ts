import type { Right } from "../../../cluster/access.ts";
import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import type { FoundManifest } from "../../../image/registry/manifests.ts";
import { formatReference } from "../../../image/reference.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { joined, say } from "../../../model/phrase.ts";
import { ensureHelpers } from "../../collect/copy/prepare.ts";
import type { FlowContext } from "../../context.ts";
import { ensureRights, helperRights } from "../../rights.ts";
import { ensureAccepted } from "../admission.ts";
import { checkBaseImage } from "../base.ts";
import { configuredOf, ociRuntimeOn, readSettings, undecided } from "../configured.ts";
import { restoreRights } from "../create.ts";
import { findTarget, type Target } from "../nodes.ts";
import type { RestorePlan } from "../plan.ts";
import { ensureWritable } from "../registry.ts";
import type { MoveRequest } from "./move.ts";
import { originOfPod, planMoveAhead, type OriginOfPod } from "./plan.ts";
import { selecting, type Selecting } from "./services.ts";

/** Work that changes nothing: where it is interrupted, it is said that the pod was not moved. */
export async function untouched<T>({ signal, emit }: FlowContext, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) emit({ kind: "warning", text: say`pod/${name} was not moved: nothing was done` });
    throw error;
  }
}

/** What is known before anything is done to the pod. */
export interface Ahead {
  readonly origin: OriginOfPod;
  readonly plan: RestorePlan;
  readonly place: Target;
  /** The new pod as the cluster would have it. */
  readonly objects: readonly Json[];
  /** What is at the reference now. */
  readonly found: FoundManifest | undefined;
  /** Undefined where Services may not be listed. */
  readonly services: Selecting | undefined;
}

/** All that a move does. Services are read where the pod is to be taken out of them. */
export function moveRights(namespace: string, helperNamespace: string, quiesces: boolean): Right[] {
  return [
    { verb: "create", group: "", resource: "nodes", subresource: "proxy" },
    ...restoreRights(namespace, false),
    { verb: "patch", group: "", resource: "pods", namespace },
    ...(quiesces ? [{ verb: "list", group: "", resource: "services", namespace }] : []),
    ...helperRights(helperNamespace),
  ];
}

/**
 * Everything that can be known before the container is frozen: rights of every phase, the node, the base image, whether the cluster takes
 * the new pod and the helper pods, whether the registry takes the image. What is not known is a warning. Throws a UserError.
 */
export async function lookAhead(context: FlowContext, request: MoveRequest): Promise<Ahead> {
  const { connection, emit } = context;
  const { target, helpers, reference, settings, to, bypassScheduler } = request;
  const { pod } = target;
  const [origin, services] = await Promise.all([originOfPod(context, target), servicesOf(context, request)]);
  await ensureRights(connection, moveRights(pod.namespace, await helpers.namespace(), request.quiesce));
  const plan = planMoveAhead(target, request, origin, formatReference(reference));
  const tolerations = list(object(plan.pod["spec"])["tolerations"]).map(object);
  const place = await findTarget(context, { node: to, bypassScheduler, tolerations }, origin.needs, origin);
  const doubts = [...place.warnings, ...(await checkBaseImage(context, origin.needs, place.nodes, settings))];
  for (const text of doubts) emit({ kind: "warning", text });
  if (bypassScheduler) await ensureBound(context, plan);
  const objects = await ensureAccepted(context, plan);
  await ensureHelpers(context, helpers, [pod.node], ["read", "write"]);
  return { origin, plan, place, objects, services, found: await ensureWritable(context, reference, settings) };
}

/** Whether the node is configured to restore it: read by helper pods on both nodes, where their configuration decides. */
export async function lookAtRuntimes(context: FlowContext, { target, helpers, to }: MoveRequest, { place, plan }: Ahead): Promise<void> {
  if (undecided(place).length === 0) return;
  const runtimeClass = object(plan.pod["spec"])["runtimeClassName"] !== undefined;
  const from = target.pod.node;
  const settings = await readSettings(context, helpers, [from, to]);
  configuredOf(place.nodes, settings, { made: runtimeClass ? undefined : ociRuntimeOn(settings, from), runtimeClass });
}

/** With --quiesce they have to be known; without it they are worth a word. */
async function servicesOf(context: FlowContext, { target, quiesce }: MoveRequest): Promise<Selecting | undefined> {
  try {
    return await selecting(context, target.pod);
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 403) return undefined;
    if (quiesce || !(error instanceof ApiFailure)) throw error;
    return undefined;
  }
}

/** A claim that waits for its first consumer is bound by the scheduler alone. */
async function ensureBound({ connection }: FlowContext, { namespace, pod }: RestorePlan): Promise<void> {
  const volumes = list(object(pod["spec"])["volumes"]).map(object);
  const claims = volumes.flatMap((volume) => string(object(volume["persistentVolumeClaim"])["claimName"]) || []);
  const unbound: string[] = [];
  for (const claim of claims) {
    const path = apiPath`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claim}`;
    const found = object(await callJson(connection, { path }).catch(() => undefined));
    if (object(found["status"])["phase"] === "Pending") unbound.push(claim);
  }
  const fresh = volumes.flatMap(({ name, ephemeral }) => (ephemeral === undefined ? [] : [string(name)]));
  if (unbound.length + fresh.length === 0) return;
  throw new UserError({
    reason: "SchedulerNeeded",
    message: say`--bypass-scheduler: these volumes may wait for the scheduler for ever: ${joined([...unbound, ...fresh], ", ")}; nothing was created`,
    fix: "rerun without --bypass-scheduler",
    exitCode: 2,
  });
}
