import type { Captured } from "../../flows/capture/one.ts";
import type { CopyPlan } from "../../flows/collect/copy/prepare.ts";
import type { FlowContext } from "../../flows/context.ts";
import { takeSeries } from "../../flows/capture/series.ts";
import type { ContainerTarget } from "../../flows/capture/targets/containers.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { exitCodeFor, Interrupted, UserError } from "../../model/error.ts";
import { joined, say } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { counted } from "../../model/units.ts";
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
  await using plan = await planOf(context, request, [target.pod.node], true);
  if (series.keep !== undefined) await confirmRemoval(context, request, series.keep, target, plan);
  const helpers = series.keep === undefined ? undefined : await helpersForRemoval(context, request, target, plan);
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

/** --keep removes archives, of this machine too, and for that takes privileged pods: confirmed once, before the first turn. */
async function confirmRemoval(
  context: FlowContext,
  { settings, yes }: CheckpointRequest,
  keep: number,
  { pod }: ContainerTarget,
  plan: CopyPlan | undefined,
): Promise<void> {
  if (yes) return;
  const here = plan === undefined ? undefined : plan.destination.directory.path;
  const places = [...(here === undefined ? [] : [here]), ...(plan?.remove === true ? [] : [pod.node])];
  const what = say`--keep ${keep} removes all but the last ${counted(keep, "archive")} of this series from ${joined(places, " and ")}`;
  const through = plan === undefined ? say`, through privileged helper pods on ${pod.node} (image ${settings.image})` : say``;
  if (!context.ask.possible)
    throw new UserError({ reason: "ConsentNeeded", message: say`${what}${through}`, fix: "rerun with --yes to confirm", exitCode: 2 });
  if (!(await context.ask.confirm(say`${what}${through}. Continue?`))) throw new Interrupted("SIGINT");
}

/** For --keep. Throws where archives could not be removed from the node. */
async function helpersForRemoval(
  context: FlowContext,
  { settings }: CheckpointRequest,
  { pod }: ContainerTarget,
  plan: CopyPlan | undefined,
): Promise<Helpers> {
  if (plan?.remove === true) return plan.helpers;
  const [{ Helpers: Class }, { ensureHelpers }] = await Promise.all([
    import("../../helper/helpers.ts"),
    import("../../flows/collect/copy/prepare.ts"),
  ]);
  const helpers = plan?.helpers ?? new Class(context.connection, context, settings);
  await ensureHelpers(context, helpers, [pod.node], ["write"]);
  return helpers;
}
