import type { Unlock } from "../../age/open.ts";
import type { Helpers } from "../../helper/helpers.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { formatReference, pinned, type Reference } from "../../image/reference.ts";
import type { FoundManifest } from "../../image/registry/manifests.ts";
import { UserError } from "../../model/error.ts";
import { list, object, type Json } from "../../model/json.ts";
import { command, joined, say, type Phrase } from "../../model/phrase.ts";
import { powersOf } from "../../restore/powers.ts";
import { restoresByDefault, restoreVerdict } from "../../restore/runtimes.ts";
import { agreeTo } from "../consent.ts";
import type { FlowContext } from "../context.ts";
import { ensureRights, requireRights } from "../rights.ts";
import { ensureAccepted } from "./admission.ts";
import { checkBaseImage } from "./base.ts";
import { configuredOf, readSettings, undecided, warnOfUndecided } from "./configured.ts";
import { createRestored, restoreRights, type Created } from "./create.ts";
import { watchExplained } from "./explain.ts";
import { consentToPush } from "./image/consent.ts";
import type { RegistrySettings } from "./image/registries.ts";
import { archiveFile } from "./image/source.ts";
import { findTarget, type Target, type TargetNode } from "./nodes.ts";
import { unseen } from "./objects.ts";
import { checkpointInFile, checkpointInRegistry, type Checkpoint } from "./origin.ts";
import { planRestore, type RestoreOptions, type RestorePlan } from "./plan.ts";
import { ensureWritable, pushForRestore } from "./registry.ts";
import { undoing, type Taken, type Undo } from "./undo.ts";
import { RestoreFailed, type Restored } from "./watch.ts";

export interface RestoreRequest {
  /** Undefined: the image is in its registry. */
  readonly file: string | undefined;
  readonly reference: Reference;
  readonly options: RestoreOptions;
  readonly settings: RegistrySettings;
  /** Opens FILE.age. */
  readonly unlock?: Unlock | undefined;
  /** To read a runtime's configuration, and CRIU's log where it fails. */
  readonly helpers: Helpers;
  readonly helper: HelperSettings;
  /** CRIU's log is read where it fails. */
  readonly explain: boolean;
  /** --yes */
  readonly yes: boolean;
}

/** What would be restored, as far as the archive and its manifest say. */
export interface Planned {
  readonly checkpoint: Checkpoint;
  readonly plan: RestorePlan;
}

/** Everything that can be known before anything is sent or created. */
export interface Ahead extends Planned {
  readonly target: Target;
  /** As the cluster would have them. */
  readonly objects: readonly Json[];
  /** What is at the reference now, where it is to be pushed to. */
  readonly found: FoundManifest | undefined;
}

export interface Restoring {
  readonly plan: RestorePlan;
  readonly restored: Restored;
  /** From the creation of the pod until it was seen that it runs. */
  readonly seconds: number;
}

/** Reads the checkpoint and its manifest. Problems of the manifest are thrown here. */
export async function planOf(context: FlowContext, request: RestoreRequest): Promise<Planned> {
  const { file, reference, options, settings } = request;
  const inRegistry = file === undefined ? await checkpointInRegistry(context, reference, settings) : undefined;
  const checkpoint = inRegistry ?? (await checkpointInFile(file ?? "", context.signal, request.unlock));
  if (checkpoint.problem !== undefined) context.emit({ kind: "warning", text: checkpoint.problem });
  const image = inRegistry === undefined ? formatReference(reference) : pinned(reference, inRegistry.digest);
  return { checkpoint, plan: planRestore(checkpoint, options, image, undefined, context.connection.namespace) };
}

/**
 * Looks at all that could go wrong later: rights, nodes, runtimes, the base image, the cluster's admission, the registry. What is not known
 * is a warning. Throws a UserError; nothing was sent or created then.
 */
export async function lookAhead(context: FlowContext, request: RestoreRequest, { checkpoint, plan: first }: Planned): Promise<Ahead> {
  const { connection, emit } = context;
  const { file, reference, options, settings } = request;
  await ensureRights(connection, restoreRights(first.namespace, options.isolated));
  const tolerations = list(object(first.pod["spec"])["tolerations"]).map(object);
  const target = await findTarget(context, { ...options, tolerations }, checkpoint.facts, checkpoint.origin);
  const doubts = [...target.warnings, ...(await checkBaseImage(context, checkpoint.facts, target.nodes, settings))];
  for (const text of doubts) emit({ kind: "warning", text });
  const plan = planRestore(checkpoint, options, first.image, target.candidates, connection.namespace);
  const objects = await ensureAccepted(context, plan);
  const found = file === undefined ? undefined : await ensureWritable(context, reference, settings);
  return { checkpoint, plan, target, objects, found };
}

/** Asks what has to be asked, pushes the archive where it is a file, creates the pod, and watches it until it runs from the checkpoint. */
export async function restore(context: FlowContext, request: RestoreRequest, ahead: Ahead): Promise<Restoring> {
  const { checkpoint, found } = ahead;
  await agreeToPowers(context, ahead.plan, request.options.node, request.yes);
  if (request.file !== undefined) {
    const what = say`The checkpoint of container ${checkpoint.facts.info.container ?? ""}`;
    const { isEncrypted } = await archiveFile(request.file, { unlock: request.unlock });
    await consentToPush(context, request.yes, request.reference, what, found, isEncrypted);
  }
  const planned = await configuredPlan(context, request, ahead);
  for (const text of planned.gaps) context.emit({ kind: "warning", text });
  for (const text of planned.notes) context.emit({ kind: "hint", text: say`note: ${text}` });
  const rights = restoreRights(planned.namespace, request.options.isolated);
  return await requireRights(
    context.connection,
    rights,
    async () =>
      await undoing(context, async (undo) => {
        const image = await pushed(context, request, ahead, undo);
        const plan = withImage(planned, image.reference);
        const started = performance.now();
        const created = await createRestored(context, plan, undo);
        const restored = await watched(context, request, { ...ahead, plan }, created, image);
        undo.keepAll();
        return { plan, restored, seconds: Math.round(performance.now() - started) / 1000 };
      }),
  );
}

/** Of more nodes the configuration is not read. */
const LOOKED_AT = 4;

/** The plan for the nodes that are configured to restore: helper pods can read that, where they were asked for or are agreed to. */
async function configuredPlan(context: FlowContext, request: RestoreRequest, { checkpoint, plan, target }: Ahead): Promise<RestorePlan> {
  const nodes = undecided(target);
  if (nodes.length === 0) return plan;
  if (nodes.length > LOOKED_AT || !(request.yes || request.explain || (await agreed(context, request, nodes)))) {
    warnOfUndecided(context, nodes);
    return plan;
  }
  const runtimeClass = object(plan.pod["spec"])["runtimeClassName"] !== undefined;
  const settings = await readSettings(context, request.helpers, namesOf(nodes));
  const fit = configuredOf(target.nodes, settings, { made: checkpoint.facts.oci, runtimeClass });
  if (fit.length === target.nodes.length) return plan;
  const unfit = target.nodes.filter((node) => !fit.includes(node));
  const candidates = { fit: namesOf(fit), unfit: [...(target.candidates?.unfit ?? []), ...namesOf(unfit)] };
  return planRestore(checkpoint, request.options, plan.image, candidates, context.connection.namespace);
}

function namesOf(nodes: readonly TargetNode[]): string[] {
  return nodes.map(({ name }) => name);
}

/** It is worth a question where a runtime does not simply restore. */
async function agreed({ ask }: FlowContext, { helpers, helper }: RestoreRequest, nodes: readonly TargetNode[]): Promise<boolean> {
  if (!ask.possible || nodes.every(({ runtime }) => restoresByDefault(restoreVerdict(runtime)))) return false;
  const names = joined(namesOf(nodes), ", ");
  const pods = say`${nodes.length === 1 ? "a privileged helper pod" : "privileged helper pods"} on ${names} (namespace ${await helpers.namespace()}, image ${helper.image})`;
  return await ask.confirm(say`Whether ${names} can restore it depends on the configuration there. Create ${pods} to read it first?`);
}

const NAMED = 30;

/**
 * Asks before a pod is created that is more than a plain one: its manifest comes with the archive or the image, and may be anybody's.
 * `yes` is --yes. Throws as agreeTo does.
 */
export async function agreeToPowers(context: FlowContext, plan: RestorePlan, node: string | undefined, yes: boolean): Promise<void> {
  const powers = powersOf(plan.pod).map(({ what }) => what);
  if (yes || powers.length === 0) return;
  const { name, namespace, image } = plan;
  const where = node === undefined ? say`` : say` on ${node}`;
  const more = powers.length > NAMED ? say`; and ${powers.length - NAMED} more` : say``;
  const what = say`pod/${name} in namespace ${namespace}${where}, restored from ${image}, is more than a plain pod: ${joined(powers.slice(0, NAMED), "; ")}${more}`;
  await agreeTo(context, say`${what}. Create it?`, { message: what });
}

async function pushed(
  context: FlowContext,
  request: RestoreRequest,
  { checkpoint, plan, found }: Ahead,
  undo: Undo,
): Promise<Taken & { readonly reference: string }> {
  const { file, reference, settings } = request;
  if (file === undefined) return { reference: plan.image, keep: () => {} };
  const { origin, expected } = checkpoint;
  const archive = await archiveFile(file, { unlock: request.unlock });
  const image = await pushForRestore(context, { reference, archive, compression: undefined, origin, expected, settings }, found, undo);
  if (image.sentBytes > 0) context.emit({ kind: "hint", text: say`pushed ${image.reference}` });
  return image;
}

/** The image by its digest, which is known once it was pushed. */
export function withImage(plan: RestorePlan, image: string): RestorePlan {
  const spec = object(plan.pod["spec"]);
  const containers = list(spec["containers"])
    .map(object)
    .map((one) => (one["name"] === plan.container ? { ...one, image, imagePullPolicy: "IfNotPresent" } : one));
  return { ...plan, image, pod: { ...plan.pod, spec: { ...spec, containers } } };
}

/**
 * A pod whose container was seen not to be restored goes again: the kubelet would restore it some day in silence. One whose processes ran, or
 * of which nothing can be seen, stays, with the image that it runs.
 */
async function watched(
  context: FlowContext,
  request: RestoreRequest,
  { plan, target: { nodes } }: Ahead,
  created: Created,
  pushedImage: Taken,
): Promise<Restored> {
  const { namespace, name, container, image } = plan;
  const attempt = { namespace, pod: name, container, image, uid: created.uid, nodes };
  try {
    const helpers = request.explain ? request.helpers : undefined;
    return await watchExplained(context, attempt, { helpers, file: request.file, unlock: request.unlock });
  } catch (error) {
    if (context.signal.aborted || (error instanceof RestoreFailed && !error.ran)) throw error;
    for (const one of [created, pushedImage]) one.keep();
    throw stays(error, plan);
  }
}

function stays(error: unknown, { name, namespace }: RestorePlan): unknown {
  const look = command`kubectl get pod ${name} -n ${namespace}`;
  const remove: Phrase = command`kubectl delete pod ${name} -n ${namespace}`;
  if (error instanceof UserError && (error instanceof RestoreFailed || error.reason === "RestoreUnproved")) {
    const { message, why, fix } = error.said;
    const kept = say`pod/${name} was not deleted; to delete it: ${remove}`;
    const { reason, exitCode } = error;
    return new UserError({ reason, message, why, fix: fix === undefined ? kept : say`${fix}\n${kept}`, exitCode, cause: error });
  }
  if (!(error instanceof UserError)) return error;
  const message = say`pod/${name} was created in namespace ${namespace}, but it could not be seen whether its container was restored`;
  return unseen("RestoreUnseen", message, say`look at it: ${look}\nto delete it: ${remove}`, error);
}
