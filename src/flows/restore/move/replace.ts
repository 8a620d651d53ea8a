import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import type { Pod } from "../../../cluster/pods.ts";
import { UserError } from "../../../model/error.ts";
import { command, say, type Phrase } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";
import type { Created } from "../create.ts";
import { deleteObject, isGoing, isGone, isRefusal, lookFor, uidOf, unseen } from "../objects.ts";
import type { RestorePlan } from "../plan.ts";
import { wordsOf, type Undo } from "../undo.ts";
import { finishCommand, finished } from "./leftovers.ts";

const GONE_MS = 60_000;

/** What becomes of both pods when the copy runs. */
export interface Replacement {
  readonly original: Pod;
  readonly plan: RestorePlan;
  readonly copy: Created;
  /** That the copy gets. */
  readonly labels: Readonly<Record<string, string>>;
  /** From now on nothing is taken back: the copy may be the only one. */
  readonly commit: () => void;
}

function pathOf(namespace: string, name: string): string {
  return apiPath`/api/v1/namespaces/${namespace}/pods/${name}`;
}

/**
 * Deletes the original and gives the copy its labels. Answers with the time of the deletion (RFC 3339). Throws a UserError where the
 * original stays, or where that cannot be seen: then both run, and the exit status is 3.
 */
export async function replaceOriginal(context: FlowContext, replacement: Replacement, undo: Undo): Promise<string> {
  const { original, plan, copy, commit } = replacement;
  await ensureThere(context, replacement, undo);
  context.signal.throwIfAborted();
  await deleteOriginal(context, replacement, undo);
  const deletedAt = new Date(context.now()).toISOString();
  commit();
  await label(context, replacement, undo);
  whenInterrupted(context, say`pod/${plan.name} took over from pod/${original.name}, which is deleted`);
  const gone = await isGone(context, pathOf(original.namespace, original.name), original.uid, undo.last, GONE_MS).catch(() => false);
  if (!gone) {
    const look = command`kubectl get pod ${original.name} -n ${original.namespace}`;
    context.emit({ kind: "warning", text: say`pod/${original.name} is being deleted, but was not seen to be gone yet: ${look}` });
  }
  copy.keep();
  return deletedAt;
}

/** Said at once, now or later: what is left to do may take all the time that an interrupted command has. */
function whenInterrupted({ signal, emit }: FlowContext, text: Phrase): void {
  const warn = (): void => emit({ kind: "warning", text });
  if (signal.aborted) warn();
  else signal.addEventListener("abort", warn, { once: true });
}

/** Since the proof, somebody may have taken their time for an answer. */
async function ensureThere(context: FlowContext, { original, plan, copy, commit }: Replacement, undo: Undo): Promise<void> {
  const { namespace, name } = plan;
  const pod = await lookFor(context, pathOf(namespace, name), undo.last).catch((error: unknown) => {
    if (context.signal.aborted) throw error;
    commit();
    throw bothRun(say`it could not be seen whether pod/${name} is still running`, namespace, original.name, plan, error);
  });
  if (pod !== undefined && uidOf(pod) === copy.uid && !isGoing(pod)) return;
  throw new UserError({ reason: "PodDeleted", message: say`pod/${name} was deleted from namespace ${namespace} by somebody else` });
}

async function deleteOriginal(context: FlowContext, { original, plan, commit }: Replacement, undo: Undo): Promise<void> {
  const { namespace, name, uid } = original;
  const path = pathOf(namespace, name);
  try {
    // False: it has gone by itself meanwhile.
    await deleteObject(context, path, uid, undo.last);
  } catch (error) {
    if (isRefusal(error)) throw notDeleted(error, name);
    // A request without an answer may still be carried out: the copy stays, whatever is seen now.
    commit();
    const pod = await lookFor(context, path, undo.last).catch(() => "unseen" as const);
    if (pod === undefined || (pod !== "unseen" && (uidOf(pod) !== uid || isGoing(pod)))) return;
    throw bothRun(say`pod/${name} may not have been deleted`, namespace, name, plan, error);
  }
}

function notDeleted(error: unknown, name: string): UserError {
  return new UserError({
    reason: "OriginalNotDeleted",
    message: say`the cluster refused to delete pod/${name}, the original`,
    why: wordsOf(error),
    cause: error,
  });
}

/** Exit status 3, with both named. */
export function bothRun(what: Phrase, namespace: string, original: string, { name }: RestorePlan, cause: unknown): UserError {
  const message = say`${what}: pod/${original} and its copy pod/${name} may both be running`;
  const remove = (which: string): Phrase => command`kubectl delete pod ${which} -n ${namespace}`;
  const look = command`kubectl get pod ${original} ${name} -n ${namespace} --show-labels`;
  const fix = say`look at them: ${look}\nto keep the original: ${remove(name)}\nto end the move: rerun it, or ${remove(original)}, then give the copy its labels`;
  return unseen("BothRun", message, fix, cause);
}

async function label(context: FlowContext, { original, plan, copy, labels }: Replacement, undo: Undo): Promise<void> {
  const { namespace, name } = plan;
  const body = { metadata: { ...finished(labels).metadata, uid: copy.uid } };
  const patch = { method: "PATCH", path: pathOf(namespace, name), body, contentType: "application/merge-patch+json" } as const;
  try {
    await callJson(context.connection, { ...patch, repeatable: true, evenAfterAbort: true, signal: undo.last });
  } catch (error) {
    // Without an answer it may have them.
    const what = isRefusal(error)
      ? say`but did not get its labels: no Service leads to it`
      : say`but it could not be seen whether it got its labels, by which Services lead to it`;
    const message = say`pod/${name} took over from pod/${original.name} in namespace ${namespace}, ${what}`;
    throw unseen("LabelsMissing", message, finishCommand(namespace, name, labels), error);
  }
}
