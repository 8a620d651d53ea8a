import type { FlowContext } from "../flows/context.ts";
import { pickContainer } from "../flows/pick.ts";
import { needing } from "../flows/rights.ts";
import { take, type Taken } from "../flows/take.ts";
import { choiceNeeded, containerOf, findPod, type ContainerTarget } from "../flows/targets.ts";
import { Helpers } from "../helper/helpers.ts";
import { API_VERSION, type CheckpointList } from "../model/documents.ts";
import { exitCodeFor } from "../model/error.ts";
import { location } from "../model/location.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { formatSeconds } from "../model/units.ts";
import { offerCopy } from "./checkpoint/offer.ts";
import { checkpointRequest, type CheckpointRequest } from "./checkpoint/request.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = checkpointRequest(call.words, call.flags, call.env);
  const connection = await connect(call);
  const context: FlowContext = { ...call, connection };
  const { settings } = request;
  const helpers = new Helpers(connection, call, settings);
  const targets = await findTargets(context, request);
  const [first] = targets;
  const copy =
    request.pods.length === 0 && request.copy === undefined && first !== undefined
      ? await offerCopy(context, first, helpers, settings, call.flags.on("yes"))
      : request.copy;
  const plan = copy === undefined ? undefined : { ...copy, helpers, checkpointDir: settings.checkpointDir };
  const done: Taken[] = [];
  for await (const taken of take(context, targets, request.timeoutMs, plan)) {
    done.push(taken);
    yield* pieces(taken);
    if (call.terminal && plan === undefined && taken.archive !== undefined) {
      call.emit({ kind: "hint", text: say`copy it here: kubectl checkpoint cp ${location(taken.archive)}` });
    }
  }
  const items = done.map(({ item }) => item);
  const errors = done.flatMap(({ error }) => error ?? []);
  const document: CheckpointList = { apiVersion: API_VERSION, kind: "CheckpointList", clockOffsetSeconds: connection.clock.seconds, items };
  return { document, exitCode: exitCodeFor(errors, done.length) };
}

async function findTargets(context: FlowContext, { pods, containers }: CheckpointRequest): Promise<ContainerTarget[]> {
  const { connection } = context;
  const { namespace } = connection;
  const rights = [
    ...(pods.length === 0 ? [{ verb: "list", group: "", resource: "pods", namespace }] : []),
    { verb: "get", group: "", resource: "pods", namespace },
    { verb: "create", group: "", resource: "nodes", subresource: "proxy" },
  ];
  return await needing(connection, rights, async () => {
    if (pods.length === 0) return [await pickContainer(context)];
    const targets: ContainerTarget[] = [];
    for (const name of pods) {
      const pod = await findPod(context, name);
      for (const wanted of containers.length === 0 ? [undefined] : containers) {
        const container = containerOf(pod, wanted);
        if (container !== undefined) targets.push({ pod, container });
        else if (context.ask.possible) targets.push(await pickContainer(context, pod));
        else throw choiceNeeded(pod);
      }
    }
    return targets;
  });
}

/** The archive's place, here or on the node, and what went wrong with it. */
async function* pieces({ item, archive, error }: Taken): AsyncGenerator<Piece> {
  if (archive !== undefined) {
    const { copy } = item;
    // Loaded by those who copy only, as all that copies.
    const where = copy === undefined ? say`${location(archive)}` : (await import("./cp.ts")).copyText(archive, copy, item.removedFromNode);
    yield { text: resultText(item, where), name: copy?.path ?? location(archive) };
  }
  if (error !== undefined) yield { error };
}

function resultText({ pod, container, node, seconds }: Taken["item"], where: Phrase): Phrase {
  return say`pod/${pod} container ${container} checkpointed on ${node} in ${formatSeconds(seconds)}\n${where}`;
}
