import { apiPath } from "../../../cluster/connection.ts";
import { isRunning, readPod } from "../../../cluster/pods.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import type { Reference } from "../../../image/reference.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { command, joined, say } from "../../../model/phrase.ts";
import { captureOne } from "../../capture/one.ts";
import type { ContainerTarget } from "../../capture/targets/containers.ts";
import { streamArchive } from "../../collect/copy/stream.ts";
import type { FlowContext } from "../../context.ts";
import { requireRights } from "../../rights.ts";
import { createRestored, type Created } from "../create.ts";
import { watchExplained } from "../explain.ts";
import type { Pushed } from "../image/push.ts";
import type { RegistrySettings } from "../image/registries.ts";
import { isGoing, lookFor, uidOf } from "../objects.ts";
import type { RestorePlan } from "../plan.ts";
import { pushForRestore } from "../registry.ts";
import { undoing, type Taken, type Undo } from "../undo.ts";
import { RestoreFailed, type Restored } from "../watch.ts";
import { lookAhead, lookAtRuntimes, moveRights, untouched, type Ahead } from "./before.ts";
import { copyRecord } from "./leftovers.ts";
import { planMove, type Destination } from "./plan.ts";
import { bothRun, replaceOriginal } from "./replace.ts";
import { quiesce } from "./services.ts";

export interface MoveRequest extends Destination {
  readonly target: ContainerTarget;
  readonly reference: Reference;
  readonly settings: RegistrySettings;
  readonly helpers: Helpers;
  /** Where CRIU fails over there, its log is read before the new pod is deleted. */
  readonly explain: boolean;
  /** The original is taken out of its Services before it is frozen. */
  readonly quiesce: boolean;
  /** Before anything is done. Throws where it is refused. */
  readonly consent: (ahead: Ahead) => Promise<void>;
  /** Once the new pod runs, before the original is deleted. Throws where it is refused. */
  readonly consentToDelete: (frozenAt: Date, created: { readonly name: string; readonly node: string }) => Promise<void>;
}

export interface Moved {
  readonly plan: RestorePlan;
  readonly restored: Restored;
  /** RFC 3339. */
  readonly frozenAt: string;
  readonly deletedAt: string;
  /** Services that led to the original until its deletion; undefined where they could not be read. */
  readonly services: readonly string[] | undefined;
  /** From the request to the kubelet until the new pod ran. */
  readonly seconds: number;
}

/**
 * Checkpoint, push, restore on the other node; only when the copy is known to run there, the original is deleted. Throws a UserError: then
 * what was done is taken back and the original keeps running, unless it could not be seen whether the copy runs, or whether the original is
 * deleted: then both stay, and are named (exit status 3).
 */
export async function movePod(context: FlowContext, request: MoveRequest): Promise<Moved> {
  const { target, helpers } = request;
  const { pod } = target;
  const ahead = await untouched(context, pod.name, async () => {
    const known = await lookAhead(context, request);
    await request.consent(known);
    await lookAtRuntimes(context, request, known);
    return known;
  });
  const selecting = ahead.services?.services ?? [];
  if (!request.quiesce && selecting.length > 0) {
    const text = say`what pod/${pod.name} accepts through its Services (${joined(selecting, ", ")}) between the freeze and its deletion is lost: --quiesce takes it out of them first`;
    context.emit({ kind: "warning", text });
  }
  return await requireRights(context.connection, moveRights(pod.namespace, await helpers.namespace(), request.quiesce), async () => {
    // The helper pod starts while the container is checkpointed.
    await using directory = helpers.directory(pod.node);
    directory.start();
    return await undoing(context, async (undo) => await moved(context, request, ahead, undo));
  });
}

async function moved(context: FlowContext, request: MoveRequest, ahead: Ahead, undo: Undo): Promise<Moved> {
  const { target, helpers, to } = request;
  const { pod } = target;
  const { origin, services } = ahead;
  const look = undo.add({
    what: say`look at pod/${pod.name}`,
    byHand: command`kubectl get pod ${pod.name} -n ${pod.namespace}`,
    back: async () => await sayWhichRuns(context, target, undo),
    first: true,
  });
  const quiet = request.quiesce && services !== undefined ? await quiesce(context, pod, services, ahead.plan.name, to, undo) : undefined;
  const started = performance.now();
  const { archive, frozenAt, taken } = await frozen(context, request, undo);
  const image = await push(context, request, ahead, archive, undo);
  const plan = planMove(target, request, image.facts, origin, image.reference, frozenAt.toISOString());
  for (const note of plan.notes) context.emit({ kind: "hint", text: say`note: ${note}` });
  const copy = await createRestored(context, plan, undo);
  const restored = await watched(context, request, { ...ahead, plan }, copy, image);
  await request.consentToDelete(frozenAt, { name: plan.name, node: to });
  const seconds = Math.round(performance.now() - started) / 1000;
  const labels = copyRecord(plan.pod)?.labels ?? {};
  const commit = (): void => {
    for (const step of [look, quiet, image, copy]) step?.keep();
  };
  const deletedAt = await replaceOriginal(context, { original: pod, plan, copy, labels, commit }, undo);
  taken.keep();
  await removeArchive(context, helpers, archive);
  const lost = request.quiesce ? [] : services?.services;
  return { plan, restored, frozenAt: frozenAt.toISOString(), deletedAt, services: lost, seconds };
}

interface Frozen {
  readonly archive: NodeArchive;
  readonly frozenAt: Date;
  readonly taken: Taken;
}

async function frozen(context: FlowContext, { target, helpers }: MoveRequest, undo: Undo): Promise<Frozen> {
  const { pod } = target;
  const { archive, item, error } = await captureOne(context, target, { timeoutMs: undefined, proveMs: 0 });
  if (archive === undefined) throw notFrozen(error ?? new Error("a checkpoint without an archive or an error"), pod.name);
  const where = location(archive);
  const taken = undo.add({
    what: say`remove the archive ${where}`,
    byHand: say`It holds the memory of the container: ${command`kubectl checkpoint rm ${where}`}`,
    back: async () => await removeFrom(context, helpers, archive),
  });
  context.emit({
    kind: "hint",
    text: say`frozen at ${item.startedAt}: what pod/${pod.name} does from then on is lost when it is deleted`,
  });
  return { archive, frozenAt: new Date(item.startedAt), taken };
}

/** Of a call whose answer was lost it is not known whether the archive was written; nothing else was done. */
function notFrozen(error: Error, name: string): Error {
  if (!(error instanceof UserError) || error.reason !== "OutcomeUnknown") return error;
  const { message, why, fix } = error.said;
  const more = say`pod/${name} is not moved: nothing was pushed, and no pod was created`;
  return new UserError({ reason: error.reason, message: say`${message}; ${more}`, why, fix, cause: error });
}

async function push(context: FlowContext, request: MoveRequest, ahead: Ahead, archive: NodeArchive, undo: Undo): Promise<Pushed & Taken> {
  const { reference, settings, helpers } = request;
  const stream = { archive, codec: "auto", made: true } as const;
  return await pushForRestore(
    context,
    {
      reference,
      settings,
      origin: ahead.origin,
      compression: undefined,
      expected: undefined,
      archive: { label: location(archive), size: undefined, repeatable: true, open: () => streamArchive(context, helpers, stream) },
    },
    ahead.found,
    undo,
  );
}

/** Only what was seen of a copy makes it worthless. One that may run stays, without labels, and the original too. */
async function watched(
  context: FlowContext,
  request: MoveRequest,
  { plan, place: { nodes } }: Pick<Ahead, "plan" | "place">,
  copy: Created,
  image: Taken,
): Promise<Restored> {
  const { namespace, name, container } = plan;
  const attempt = { namespace, pod: name, container, image: plan.image, uid: copy.uid, nodes };
  try {
    return await watchExplained(context, attempt, { helpers: request.explain ? request.helpers : undefined, file: undefined });
  } catch (error) {
    if (context.signal.aborted || error instanceof RestoreFailed || !(error instanceof UserError)) throw error;
    copy.keep();
    image.keep();
    const what =
      error.reason === "RestoreUnproved"
        ? say`pod/${name} is running, but it is unknown whether it was restored`
        : say`it could not be seen whether pod/${name} was restored`;
    throw bothRun(what, namespace, request.target.pod.name, plan, error);
  }
}

/** The first thing that is said where a move has failed or was interrupted: what runs now, by a look at it. */
async function sayWhichRuns(context: FlowContext, { pod, container }: ContainerTarget, undo: Undo): Promise<void> {
  const { namespace, name, uid, node } = pod;
  const found = await lookFor(context, apiPath`/api/v1/namespaces/${namespace}/pods/${name}`, undo.last);
  const now = found === undefined || uidOf(found) !== uid || isGoing(found) ? undefined : readPod(found).containers;
  const same = now?.find((one) => one.name === container.name);
  const runs = same !== undefined && isRunning(same) && same.containerID === container.containerID;
  const text = runs
    ? say`pod/${name} was not moved: it is running on ${node}`
    : now === undefined
      ? say`pod/${name} was not moved, and is not there any more: it was deleted by somebody else`
      : say`pod/${name} was not moved, but its container ${container.name} is not running as before: ${command`kubectl get pod ${name} -n ${namespace}`}`;
  context.emit({ kind: "warning", text });
}

async function removeArchive(context: FlowContext, helpers: Helpers, archive: NodeArchive): Promise<void> {
  try {
    await removeFrom(context, helpers, archive);
  } catch (error) {
    if (!(error instanceof UserError) && !context.signal.aborted) throw error;
    const where = location(archive);
    const why = error instanceof UserError ? error.whole : say`the command was interrupted`;
    context.emit({ kind: "warning", text: say`the archive stays at ${where} (${why}): ${command`kubectl checkpoint rm ${where}`}` });
  }
}

async function removeFrom(context: FlowContext, helpers: Helpers, archive: NodeArchive): Promise<void> {
  context.signal.throwIfAborted();
  await using directory = helpers.directory(archive.node, "write");
  await directory.remove(directory.nameOf(archive.path));
}
