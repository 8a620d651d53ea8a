import type { ApiAnswer } from "../cluster/answer.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import { Unanswered } from "../cluster/network-error.ts";
import { timeoutSignal } from "../cluster/timeout.ts";
import { Interrupted, UserError } from "../model/error.ts";
import { list, object, string } from "../model/json.ts";
import { nodeArchive, type NodeArchive } from "../model/location.ts";
import { command, say } from "../model/phrase.ts";
import { outcomeUnknown, type About, type CheckpointTarget } from "./target.ts";

export interface CheckpointOptions {
  /** After this long the client hangs up, and the kubelet cancels; undefined is no limit. */
  readonly timeoutMs?: number | undefined;
  /** What --timeout said, where some of it is gone: an error names it. */
  readonly givenMs?: number | undefined;
  readonly signal: AbortSignal;
  /** Asked only after a refusal, for words that are true of this node. Never throws. */
  readonly about?: () => Promise<About>;
}

/**
 * The kubelet's checkpoint call, through the API server's nodes/proxy. Sent once and never again by itself: a lost
 * connection leaves open what became of it.
 * Throws a UserError that says what the answer means, with the answer's own reason.
 */
export async function postCheckpoint(connection: Connection, target: CheckpointTarget, options: CheckpointOptions): Promise<NodeArchive> {
  const { node, namespace, pod, container } = target;
  const { timeoutMs, signal } = options;
  const [hangUp] = timeoutSignal(timeoutMs ?? 0);
  let answer: ApiAnswer;
  try {
    answer = await connection.call({
      method: "POST",
      path: apiPath`/api/v1/nodes/${node}/proxy/checkpoint/${namespace}/${pod}/${container}`,
      query: timeoutMs === undefined ? {} : { timeout: String(Math.max(1, Math.ceil(timeoutMs / 1000))) },
      signal: AbortSignal.any(hangUp === undefined ? [signal] : [signal, hangUp]),
      timeoutMs: 0,
      longRunning: true,
    });
  } catch (error) {
    throw unanswered(error, target, options, hangUp);
  }
  if (answer.status !== 200) {
    const [{ explainAnswer }, about] = await Promise.all([import("./answers.ts"), options.about?.()]);
    throw explainAnswer(answer, target, about);
  }
  const path = archivePath(answer.text);
  if (path === undefined) {
    throw new UserError({
      reason: "AnswerInvalid",
      message: say`the kubelet of ${node} answered 200 without the path of an archive`,
      why: answer.text.slice(0, 500),
    });
  }
  return nodeArchive(node, path);
}

function archivePath(text: string): string | undefined {
  try {
    const path = string(list(object(JSON.parse(text))["items"])[0]);
    return path.startsWith("/") ? path : undefined;
  } catch {
    return undefined;
  }
}

function unanswered(
  error: unknown,
  target: CheckpointTarget,
  { timeoutMs = 0, givenMs = timeoutMs, signal }: CheckpointOptions,
  hangUp: AbortSignal | undefined,
): unknown {
  const { node, namespace, pod, container } = target;
  const what = say`the checkpoint of container ${container} in pod/${pod}`;
  const cancelled = say`the kubelet cancels it. The container stays frozen until CRIU has ended, which does not end if it waits for a stopped process (SIGSTOP, Ctrl-Z)`;
  const look = command`kubectl checkpoint doctor ${pod} -c ${container} -n ${namespace} --deep`;
  if (error instanceof Interrupted || signal.aborted) {
    return new UserError({
      reason: "Interrupted",
      message: say`${what} was interrupted`,
      why: cancelled,
      fix: say`see whether the container is frozen: ${look}`,
      cause: error,
    });
  }
  if (hangUp?.aborted === true) {
    return new UserError({
      reason: "TimedOut",
      message: say`${what} took longer than --timeout ${givenMs / 1000}s`,
      why: say`the call was closed, and ${cancelled}`,
      fix: say`see whether the container is frozen: ${look}; then rerun with a longer --timeout`,
      cause: error,
    });
  }
  if (error instanceof Unanswered && error.sent) return outcomeUnknown(target, error.said.why ?? error.said.message, error);
  return error instanceof Error && error.name === "AbortError"
    ? outcomeUnknown(target, say`the call to ${node} was cut off`, error)
    : error;
}
