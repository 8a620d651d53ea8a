import { capture, type Captured } from "../flows/capture.ts";
import type { FlowContext } from "../flows/context.ts";
import { pickContainer } from "../flows/pick.ts";
import { needing } from "../flows/rights.ts";
import { choiceNeeded, containerOf, findPod, type ContainerTarget } from "../flows/targets.ts";
import { API_VERSION, type CheckpointItem, type CheckpointList } from "../model/documents.ts";
import { usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { location } from "../model/location.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { formatSeconds, parseDuration } from "../model/units.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";

export interface CheckpointRequest {
  /** None: to be picked. */
  readonly pods: readonly string[];
  /** None: the pod's own choice. */
  readonly containers: readonly string[];
  readonly timeoutMs: number | undefined;
}

/** Throws a usage error. */
export function checkpointRequest(words: readonly string[], flags: Flags): CheckpointRequest {
  const timeout = flags.text("timeout");
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout, "--timeout");
  if (timeoutMs === 0) throw usageError("--timeout must be more than 0");
  return { pods: podNames(words), containers: flags.list("container"), timeoutMs };
}

/** `nginx`, `pod/nginx`, and as kubectl takes it: `pod nginx`. */
function podNames(words: readonly string[]): string[] {
  const named = words.length > 1 && /^(pods?|po)$/.test(words[0] ?? "") ? words.slice(1) : words;
  return named.map((word) => {
    const [, type, name] = /^([^/]*)\/(.*)$/s.exec(word) ?? [undefined, "pod", word];
    if (name === undefined || name === "") throw usageError(`"${word}" names no pod`);
    if (!/^(pods?|po)$/.test(type ?? "")) throw usageError(`"${word}": only pods can be checkpointed`, "give the name of a pod");
    return name;
  });
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = checkpointRequest(call.words, call.flags);
  const connection = await connect(call);
  const context: FlowContext = { ...call, connection };
  const targets = await findTargets(context, request);
  const done: Captured[] = [];
  for await (const captured of capture(context, targets, request.timeoutMs)) {
    done.push(captured);
    yield piece(captured);
  }
  const items = done.map(({ item }) => item);
  const document: CheckpointList = { apiVersion: API_VERSION, kind: "CheckpointList", clockOffsetSeconds: connection.clock.seconds, items };
  return { document, exitCode: exitCode(done) };
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

function piece({ item, archive, error }: Captured): Piece {
  if (error !== undefined) return { error };
  return { text: resultText(item, archive === undefined ? "" : location(archive)), name: archive === undefined ? "" : location(archive) };
}

function resultText({ pod, container, node, seconds }: CheckpointItem, where: string): Phrase {
  return say`pod/${pod} container ${container} checkpointed on ${node} in ${formatSeconds(seconds)}\n${where}`;
}

function exitCode(done: readonly Captured[]): number {
  const failed = done.filter(({ error }) => error !== undefined);
  if (failed.length === 0) return 0;
  return failed.length < done.length ? 3 : (failed[0]?.error?.exitCode ?? 1);
}
