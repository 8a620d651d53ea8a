import { proved, type Captured } from "../../flows/capture/one.ts";
import type { CopyPlan } from "../../flows/collect/copy/prepare.ts";
import type { FlowContext } from "../../flows/context.ts";
import { takeSeries } from "../../flows/capture/series.ts";
import type { ContainerTarget } from "../../flows/capture/targets/containers.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { Interrupted, UserError } from "../../model/error.ts";
import { joined, say } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { counted } from "../../model/units.ts";
import { explained } from "./explain.ts";
import { checkpointList, exitCodeOf, pieces, settled } from "./report.ts";
import { criuOptionsOf, planOf, PROVE_MS, type CheckpointRequest, type SeriesOptions } from "./request.ts";

/** --every: one document a turn. */
export async function* takeTurns(
  context: FlowContext,
  request: CheckpointRequest,
  series: SeriesOptions,
  target: ContainerTarget,
): AsyncGenerator<Piece, Outcome> {
  const { timeoutMs, proveMs = PROVE_MS } = request;
  await using plan = await planOf(context, request, [target], true);
  if (series.keep !== undefined) await confirmRemoval(context, request, series.keep, target, plan);
  await using criuOptions = await criuOptionsOf(context, request, [target.pod.node]);
  const helpers = series.keep === undefined ? undefined : await helpersForRemoval(context, request, target, plan);
  const turns = takeSeries({ ...context, criuOptions }, { ...series, target, timeoutMs, proveMs, plan, helpers });
  const all: Captured[] = [];
  // In the order of the turns: the document of one comes when it is known whether its original keeps running.
  const watched: Promise<Captured>[] = [];
  let next: Promise<IteratorResult<Captured>> | undefined = turns.next();
  while (next !== undefined || watched.length > 0) {
    const [oldest] = watched;
    const event: { readonly turn: IteratorResult<Captured> } | { readonly done: Captured } = await Promise.race([
      ...(next === undefined ? [] : [next.then((turn) => ({ turn }))]),
      ...(oldest === undefined ? [] : [oldest.then((done) => ({ done }))]),
    ]);
    if ("done" in event) {
      void watched.shift();
      const done = yield* settled(context, event.done, plan?.evidence);
      all.push(done);
      yield { document: checkpointList(context.connection.clock.seconds, [done.item]) };
    } else if (event.turn.done === true) next = undefined;
    else {
      const captured = await explained(context, request, event.turn.value, false);
      yield* pieces(captured);
      watched.push(proved(context, captured));
      next = turns.next();
    }
  }
  return { exitCode: exitCodeOf(all) };
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
