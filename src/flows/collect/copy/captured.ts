import type { Helpers } from "../../../helper/helpers.ts";
import { itemError, type CheckpointItem } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { object, string } from "../../../model/json.ts";
import type { Captured } from "../../capture/one.ts";
import type { FlowContext } from "../../context.ts";
import { helperRights, withMissingRights } from "../../rights.ts";
import type { ContainerTarget } from "../../capture/targets/containers.ts";
import { copyArchive, type CopyOutcome } from "./copy.ts";
import type { CopyPlan } from "./prepare.ts";

/** Brings the archive of a capture here; the capture with what became of it. Throws no UserError: it is in what comes back. */
export async function copyCaptured(context: FlowContext, { pod }: ContainerTarget, captured: Captured, plan: CopyPlan): Promise<Captured> {
  const { archive, item } = captured;
  if (archive === undefined) return captured;
  // Of a resumed run the pod may be another one by now, or not be there any more: it proves nothing.
  const isTheSame = string(object(pod.object["metadata"])["uid"]) === item.podUID;
  const request = { ...plan, archive, facts: { item, ...(isTheSame ? { pod: pod.object } : {}) }, made: true };
  const outcome = await withRights(context, plan.helpers, await copyArchive(context, plan.helpers, request));
  return { ...captured, item: withOutcome(item, outcome), ...(outcome.failure === undefined ? {} : { error: outcome.failure.error }) };
}

/** The outcome, and where a right was missing all that are, as far as that can be asked now. */
async function withRights({ connection }: FlowContext, helpers: Helpers, outcome: CopyOutcome): Promise<CopyOutcome> {
  if (outcome.failure === undefined) return outcome;
  try {
    return await withMissingRights(connection, helperRights(await helpers.namespace()), outcome);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return outcome;
  }
}

function withOutcome(item: CheckpointItem, { copy, interrupted, removedFromNode, failure }: CopyOutcome): CheckpointItem {
  return {
    ...item,
    ...(copy === undefined ? {} : { copy }),
    ...(interrupted === undefined ? {} : { interrupted }),
    ...(removedFromNode === undefined ? {} : { removedFromNode }),
    ...(failure === undefined ? {} : { error: itemError(failure.phase, failure.error) }),
  };
}
