import { captureOne } from "../flows/capture.ts";
import type { FlowContext } from "../flows/context.ts";
import { pickContainer } from "../flows/pick.ts";
import { needing } from "../flows/rights.ts";
import { resolveTargets } from "../flows/targets/resolve.ts";
import type { ContainerTarget } from "../flows/targets/target.ts";
import { exitCodeFor, usageError } from "../model/error.ts";
import { location } from "../model/location.ts";
import { say } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { explained } from "./checkpoint/explain.ts";
import { planOf } from "./checkpoint/plan.ts";
import { checkpointList, pieces } from "./checkpoint/report.ts";
import { checkpointRequest, type CheckpointRequest } from "./checkpoint/request.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = checkpointRequest(call.words, call.flags, call.env);
  const context: FlowContext = { ...call, connection: await connect(call) };
  if (request.resume !== undefined) return yield* (await import("./checkpoint/many.ts")).resumeMany(context, request, request.resume);
  const targets = await findTargets(context, request);
  const [only] = targets;
  if (request.series !== undefined) {
    if (only === undefined || targets.length > 1)
      throw usageError(`--every takes one container, not ${targets.length}`, "name one with POD -c NAME");
    return yield* (await import("./checkpoint/series.ts")).takeTurns(context, request, request.series, only);
  }
  if (only === undefined || targets.length > 1) return yield* (await import("./checkpoint/many.ts")).takeMany(context, request, targets);
  return yield* takeOne(context, await withOffer(context, request, only), only, call.terminal);
}

/** The main job. */
async function* takeOne(
  context: FlowContext,
  request: CheckpointRequest,
  target: ContainerTarget,
  terminal: boolean,
): AsyncGenerator<Piece, Outcome> {
  const plan = await planOf(context, request, false);
  await using lease = target.pod.node === "" ? undefined : plan?.helpers.on(target.pod.node, "read");
  // It starts beside the checkpoint; why it does not is told by the copy that needs it.
  lease?.helper().catch(() => undefined);
  const options = { timeoutMs: request.timeoutMs, withoutRuntime: plan === undefined && !request.document };
  const captured = await explained(context, request, await captureOne(context, target, options), true);
  const taken = plan === undefined ? captured : await (await import("../flows/copy/plan.ts")).copyCaptured(context, target, captured, plan);
  yield* pieces(taken);
  if (terminal && plan === undefined && taken.archive !== undefined) {
    context.emit({ kind: "hint", text: say`copy it here: kubectl checkpoint cp ${location(taken.archive)}` });
  }
  const errors = taken.error === undefined ? [] : [taken.error];
  return { document: checkpointList(context.connection.clock.seconds, [taken.item]), exitCode: exitCodeFor(errors, 1) };
}

/** Whoever picked the container is asked what shall become of its archive. */
async function withOffer(context: FlowContext, request: CheckpointRequest, target: ContainerTarget): Promise<CheckpointRequest> {
  if (request.query !== undefined || request.copy !== undefined) return request;
  const { offerCopy } = await import("./checkpoint/offer.ts");
  return { ...request, copy: await offerCopy(context, target, request.settings, request.yes) };
}

async function findTargets(context: FlowContext, { query, pick }: CheckpointRequest): Promise<ContainerTarget[]> {
  const { connection } = context;
  const everywhere = query?.allNamespaces ?? pick.allNamespaces;
  const listed = query === undefined || query.words.some(({ kind }) => kind === "workload") || query.words.length === 0;
  const scope = everywhere ? {} : { namespace: connection.namespace };
  const rights = [
    ...(listed ? [{ verb: "list", group: "", resource: "pods", ...scope }] : []),
    { verb: "get", group: "", resource: "pods", ...scope },
    { verb: "create", group: "", resource: "nodes", subresource: "proxy" },
  ];
  return await needing(connection, rights, async () =>
    query === undefined ? [await pickContainer(context, pick)] : await resolveTargets(context, query),
  );
}
