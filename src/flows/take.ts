import type { Codec } from "../helper/files.ts";
import type { Helpers } from "../helper/helpers.ts";
import { itemError, type CheckpointItem } from "../model/documents.ts";
import type { UserError } from "../model/error.ts";
import type { NodeArchive } from "../model/location.ts";
import { capture, type Captured } from "./capture.ts";
import type { FlowContext } from "./context.ts";
import { helperRights, needingInOutcome } from "./rights.ts";
import type { ContainerTarget } from "./targets.ts";

/** What becomes of the archives once they are made. */
export interface CopyPlan {
  readonly helpers: Helpers;
  /** As --copy=DEST has it; undefined is the working directory. */
  readonly destination: string | undefined;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  readonly remove: boolean;
  /** The kubelet's, on the node. */
  readonly checkpointDir: string;
}

/** How one container's checkpoint ended; `error` is the first thing that went wrong, in full. */
export interface Taken {
  readonly item: CheckpointItem;
  readonly archive?: NodeArchive;
  readonly error?: UserError;
}

/** Checkpoints the containers one after the other and, with a plan, brings the archives here. */
export async function* take(
  context: FlowContext,
  targets: readonly ContainerTarget[],
  timeoutMs: number | undefined,
  plan: CopyPlan | undefined,
): AsyncGenerator<Taken> {
  if (plan === undefined) {
    yield* capture(context, targets, timeoutMs);
    return;
  }
  const { destinationOf } = await import("../transfer/destination.ts");
  // Told before anything is done: that there is no such directory.
  await destinationOf("archive", plan.destination, targets.length > 1);
  // The helper pods start while the first containers are checkpointed, and stay for all archives of their node.
  await using held = new AsyncDisposableStack();
  for (const node of new Set(targets.map(({ pod }) => pod.node).filter((name) => name !== ""))) {
    const lease = held.use(plan.helpers.on(node, "read"));
    // Why it does not start is told by the copy that needs it.
    lease.helper().catch(() => undefined);
  }
  for (const target of targets) {
    for await (const captured of capture(context, [target], timeoutMs))
      yield await copied(context, target, captured, plan, targets.length > 1);
    if (context.signal.aborted) return;
  }
}

async function copied(
  context: FlowContext,
  { pod }: ContainerTarget,
  captured: Captured,
  plan: CopyPlan,
  several: boolean,
): Promise<Taken> {
  const { archive, item } = captured;
  if (archive === undefined) return captured;
  const { helpers } = plan;
  const request = { ...plan, archive, several, facts: { item, pod: pod.object } };
  const rights = helperRights(await helpers.namespace());
  const { copyArchive } = await import("./copy/copy.ts");
  const { copy, removedFromNode, failure } = await needingInOutcome(
    context.connection,
    rights,
    await copyArchive(context, helpers, request),
  );
  return {
    archive,
    item: {
      ...item,
      ...(copy === undefined ? {} : { copy }),
      ...(removedFromNode === undefined ? {} : { removedFromNode }),
      ...(failure === undefined ? {} : { error: itemError(failure.phase, failure.error) }),
    },
    ...(failure === undefined ? {} : { error: failure.error }),
  };
}
