import type { Captured } from "../../flows/capture/one.ts";
import type { FlowContext } from "../../flows/context.ts";
import { takeSeries } from "../../flows/capture/series.ts";
import type { ContainerTarget } from "../../flows/capture/targets/containers.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { exitCodeFor, Interrupted, usageError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { explained } from "./explain.ts";
import { checkpointList, pieces } from "./report.ts";
import { planOf, type CheckpointRequest, type SeriesOptions } from "./request.ts";

/** --every: one document a turn. */
export async function* takeTurns(
  context: FlowContext,
  request: CheckpointRequest,
  series: SeriesOptions,
  target: ContainerTarget,
): AsyncGenerator<Piece, Outcome> {
  const { timeoutMs } = request;
  const plan = await planOf(context, request, true);
  const helpers = plan?.helpers ?? (series.keep === undefined ? undefined : await helpersForRemoval(context, request, target));
  const done: Captured[] = [];
  for await (const turn of takeSeries(context, {
    ...series,
    target,
    timeoutMs,
    plan,
    helpers,
  })) {
    const captured = await explained(context, request, turn, false);
    done.push(captured);
    yield* pieces(captured);
    yield { document: checkpointList(context.connection.clock.seconds, [captured.item]) };
  }
  return {
    exitCode: exitCodeFor(
      done.flatMap(({ error }) => error ?? []),
      done.length,
    ),
  };
}

/** --keep without --copy removes archives from the node, which needs a privileged pod: confirmed once. */
async function helpersForRemoval(context: FlowContext, { settings, yes }: CheckpointRequest, { pod }: ContainerTarget): Promise<Helpers> {
  const { Helpers: Class } = await import("../../helper/helpers.ts");
  const helpers = new Class(context.connection, context, settings);
  if (yes) return helpers;
  if (!context.ask.possible)
    throw usageError("--keep removes archives from the node through a privileged helper pod", "rerun with --yes to confirm");
  const what = say`--keep removes the oldest archives of this series through privileged helper pods on ${pod.node} (namespace ${await helpers.namespace()}, image ${settings.image}). Create them?`;
  if (!(await context.ask.confirm(what))) throw new Interrupted("SIGINT");
  return helpers;
}
