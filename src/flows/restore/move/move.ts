import { setTimeout as sleep } from "node:timers/promises";
import { ApiFailure } from "../../../cluster/answer.ts";
import { getPod, type Pod } from "../../../cluster/pods.ts";
import type { Right } from "../../../cluster/access.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import type { Reference } from "../../../image/reference.ts";
import { startUpload } from "../../../image/registry/blobs.ts";
import { findManifest, type FoundManifest } from "../../../image/registry/manifests.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { say } from "../../../model/phrase.ts";
import { captureOne } from "../../capture/one.ts";
import type { FlowContext } from "../../context.ts";
import { streamArchive } from "../../collect/copy/stream.ts";
import type { Origin } from "../image/facts.ts";
import { pushImage, type Pushed } from "../image/push.ts";
import { refusePublic, registryFor, type RegistrySettings } from "../image/registries.ts";
import { checkBaseImage } from "../base.ts";
import { createRestored, deletePod, restoreRights } from "../create.ts";
import { findTarget } from "../nodes.ts";
import type { RestorePlan } from "../plan.ts";
import { watchExplained } from "../explained.ts";
import type { Restored } from "../watch.ts";
import { helperRights, requireRights } from "../../rights.ts";
import type { ContainerTarget } from "../../capture/targets/containers.ts";
import { originOfPod, planMove, type Destination, type OriginOfPod } from "./plan.ts";

export interface MoveRequest extends Destination {
  readonly target: ContainerTarget;
  readonly reference: Reference;
  readonly settings: RegistrySettings;
  readonly helpers: Helpers;
  /** Where CRIU fails over there, its log is read before the new pod is removed. */
  readonly explain: boolean;
  /** Before anything is done. Throws where it is refused. */
  readonly consent: (found: FoundManifest | undefined) => Promise<void>;
  /** Once the new pod runs, before the original is deleted. Throws where it is refused. */
  readonly consentToDelete: (frozenAt: Date, created: { readonly name: string; readonly node: string }) => Promise<void>;
}

export interface Moved {
  readonly plan: RestorePlan;
  readonly restored: Restored;
  /** RFC 3339. */
  readonly frozenAt: string;
  readonly deletedAt: string;
  /** From the request to the kubelet until the new pod ran. */
  readonly seconds: number;
}

/** What the original does by now is lost: it need not take its time. */
const GRACE_SECONDS = 1;
const GONE_MS = 60_000;

/**
 * Checkpoint, push, restore on the other node; only when it runs there, the original is deleted. Throws a UserError: then the
 * original runs on, and what was made for it is removed.
 */
export async function movePod(context: FlowContext, request: MoveRequest): Promise<Moved> {
  const { target, helpers, to } = request;
  const { pod } = target;
  const { connection } = context;
  const origin = await originOfPod(context, target);
  await lookBefore(context, request, origin);
  return await requireRights(connection, moveRights(pod.namespace, await helpers.namespace()), async () => {
    // The helper pod starts while the container is checkpointed.
    await using directory = helpers.directory(pod.node);
    directory.start();
    const started = performance.now();
    const { archive, item, error } = await captureOne(context, target, { timeoutMs: undefined, proveMs: 0 });
    if (archive === undefined) throw error ?? new Error("a checkpoint without an archive or an error");
    const frozenAt = new Date(item.startedAt);
    try {
      context.emit({
        kind: "hint",
        text: say`frozen at ${item.startedAt}: what pod/${pod.name} does from then on is lost when it is deleted`,
      });
      const { reference, facts } = await push(context, request, archive, origin);
      const plan = planMove(target, request, facts, origin, reference);
      for (const note of plan.notes) context.emit({ kind: "hint", text: say`note: ${note}` });
      const restored = await restoreOrRemove(
        context,
        plan,
        request.explain ? helpers : undefined,
        async () => await request.consentToDelete(frozenAt, { name: plan.name, node: to }),
      );
      const seconds = Math.round(performance.now() - started) / 1000;
      await deleteOriginal(context, pod, plan);
      const deletedAt = new Date(context.now()).toISOString();
      await gone(context, pod);
      return { plan, restored, frozenAt: frozenAt.toISOString(), deletedAt, seconds };
    } finally {
      await removeArchive(context, helpers, archive);
    }
  });
}

/** Throws a UserError where the node is sure not to restore it; what cannot be told is a warning. */
export async function lookAtNode(context: FlowContext, to: string, settings: RegistrySettings, origin: OriginOfPod): Promise<void> {
  const target = await findTarget(context, to, origin.needs, origin);
  const doubts = [...target.warnings, ...(await checkBaseImage(context, origin.needs, target.nodes, settings))];
  for (const text of doubts) context.emit({ kind: "warning", text });
}

/** Everything that can be seen to go wrong is seen before the container is frozen. */
async function lookBefore(context: FlowContext, request: MoveRequest, origin: OriginOfPod): Promise<void> {
  const { reference, settings, to, consent } = request;
  refusePublic(reference, settings);
  await lookAtNode(context, to, settings, origin);
  await using registry = await registryFor(context, settings, reference, "pull,push");
  const found = await findManifest(registry);
  const upload = await startUpload(registry);
  if (upload !== undefined)
    await registry.request({ method: "DELETE", url: upload, doing: "cancel an upload", expected: [404, 405], evenAfterAbort: true });
  await consent(found);
}

async function push(context: FlowContext, request: MoveRequest, archive: NodeArchive, origin: Origin): Promise<Pushed> {
  const { reference, settings, helpers } = request;
  const stream = { archive, codec: "auto", made: true } as const;
  return await pushImage(context, {
    reference,
    settings,
    origin,
    compression: undefined,
    expected: undefined,
    archive: { label: location(archive), size: undefined, repeatable: true, open: () => streamArchive(context, helpers, stream) },
    consent: async () => {},
  });
}

/** On any failure, and where the original is not to be deleted, nothing of the new pod is left. */
async function restoreOrRemove(
  context: FlowContext,
  plan: RestorePlan,
  explain: Helpers | undefined,
  agreed: () => Promise<void>,
): Promise<Restored> {
  const { namespace, name } = plan;
  await createRestored(context, plan);
  try {
    const restored = await watchExplained(context, plan, { helpers: explain, file: undefined });
    await agreed();
    return restored;
  } catch (error) {
    await deletePod(context, namespace, name, 0).catch((failure: unknown) => {
      const why = failure instanceof Error ? failure.message : String(failure);
      context.emit({ kind: "warning", text: say`pod/${name} could not be removed (${why}): kubectl delete pod ${name} -n ${namespace}` });
    });
    throw error;
  }
}

async function deleteOriginal(context: FlowContext, { namespace, name, uid }: Pod, plan: RestorePlan): Promise<void> {
  try {
    await deletePod(context, namespace, name, GRACE_SECONDS, uid);
  } catch (error) {
    context.emit({ kind: "warning", text: say`both run: pod/${plan.name}, and the original pod/${name}, which could not be deleted` });
    throw error;
  }
}

async function gone({ connection, signal }: FlowContext, { namespace, name, uid }: Pod): Promise<void> {
  const deadline = performance.now() + GONE_MS;
  while (performance.now() < deadline) {
    const still = await getPod(connection, namespace, name).then(
      (pod) => pod.uid === uid,
      (error) => !(error instanceof ApiFailure && error.status === 404),
    );
    if (!still) return;
    await sleep(200, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function removeArchive(context: FlowContext, helpers: Helpers, archive: NodeArchive): Promise<void> {
  try {
    await using directory = helpers.directory(archive.node, "write");
    await directory.remove(directory.nameOf(archive.path));
  } catch (error) {
    if (!(error instanceof UserError) && !context.signal.aborted) throw error;
    const [why, where] = [(error as Error).message, location(archive)];
    context.emit({ kind: "warning", text: say`the archive stays at ${where} (${why}): kubectl checkpoint rm ${where}` });
  }
}

export function moveRights(namespace: string, helperNamespace: string): Right[] {
  return [
    { verb: "create", group: "", resource: "nodes", subresource: "proxy" },
    ...restoreRights(namespace, false),
    { verb: "delete", group: "", resource: "pods", namespace },
    ...helperRights(helperNamespace),
  ];
}
