import type { Codec } from "../../helper/files.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { itemError, type CheckpointItem } from "../../model/documents.ts";
import type { Captured } from "../capture.ts";
import type { FlowContext } from "../context.ts";
import { helperRights, needingInOutcome } from "../rights.ts";
import type { ContainerTarget } from "../targets/target.ts";
import { copyArchive, type CopyOutcome } from "./copy.ts";

/** What becomes of archives once they are made. */
export interface CopyPlan {
  readonly helpers: Helpers;
  /** As --copy=DEST has it; undefined is the working directory. */
  readonly destination: string | undefined;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  readonly remove: boolean;
  /** The kubelet's, on the node. */
  readonly checkpointDir: string;
  /** Several archives go to the destination: it must be a directory. */
  readonly several: boolean;
}

/** Brings the archive of a capture here; the capture with what became of it. */
export async function copyCaptured(context: FlowContext, { pod }: ContainerTarget, captured: Captured, plan: CopyPlan): Promise<Captured> {
  const { archive, item } = captured;
  if (archive === undefined) return captured;
  const request = { ...plan, archive, facts: { item, pod: pod.object } };
  const rights = helperRights(await plan.helpers.namespace());
  const outcome = await needingInOutcome(context.connection, rights, await copyArchive(context, plan.helpers, request));
  return { archive, item: withOutcome(item, outcome), ...(outcome.failure === undefined ? {} : { error: outcome.failure.error }) };
}

function withOutcome(item: CheckpointItem, { copy, removedFromNode, failure }: CopyOutcome): CheckpointItem {
  return {
    ...item,
    ...(copy === undefined ? {} : { copy }),
    ...(removedFromNode === undefined ? {} : { removedFromNode }),
    ...(failure === undefined ? {} : { error: itemError(failure.phase, failure.error) }),
  };
}
