import { setTimeout as sleep } from "node:timers/promises";
import { apiFailure } from "../cluster/answer.ts";
import { callJson, createOnce } from "../cluster/api.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import { waitFor } from "../cluster/watch.ts";
import { UserError } from "../model/error.ts";
import { list, object, string, type Json } from "../model/json.ts";
import { command, say, type Phrase } from "../model/phrase.ts";
import { formatSeconds } from "../model/units.ts";
import { refusal } from "./admission.ts";
import { helperJob, type HelperRequest } from "./manifest.ts";
import type { Helper } from "./directory.ts";

/** After this long without progress, the events are asked why. */
const ASK_WHY_MS = 1500;
/** Pulling an image over a slow link takes its time; it is shown meanwhile. */
const READY_MS = 300_000;
const GONE_MS = 4000;
const LATE_MS = 500;

/**
 * One Job, whatever the API server's answers are. An interruption waits a while for the answer: a request that is cut off may still
 * make a Job when its removal has found none. Throws an ApiFailure, or an Unanswered.
 */
export async function createJob(connection: Connection, request: HelperRequest, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const path = jobsPath(request.namespace);
  const late = new AbortController();
  const abortLate = (): void => void setTimeout(() => late.abort(signal.reason), GONE_MS).unref();
  signal.addEventListener("abort", abortLate, { once: true });
  try {
    await createOnce(connection, { path, body: helperJob(request), evenAfterAbort: true, signal: late.signal });
  } finally {
    signal.removeEventListener("abort", abortLate);
  }
}

/**
 * Waits until the pod runs; `progress` is given what it waits for. Throws a UserError with the events' own words as soon as it cannot:
 * HelperLost where it ran and has ended, so that another one may be reached.
 */
export async function podReady(
  connection: Connection,
  request: HelperRequest,
  progress: (what: string) => void,
  signal: AbortSignal,
): Promise<Helper["pod"]> {
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  let pod: Json | undefined;
  const watching = waitFor(connection, { ...podsOf(request), signal: either }, ([found]) => {
    pod = found;
    return found && runningPod(found, request);
  });
  const asking = async (): Promise<never> => {
    const started = performance.now();
    for (;;) {
      await sleep(ASK_WHY_MS, undefined, { signal: either }).catch(() => Promise.reject(either.reason as Error));
      progress(await whyNot(connection, request, pod));
      if (performance.now() - started > READY_MS) throw notReady(request);
    }
  };
  try {
    return await Promise.race([watching, asking()]);
  } finally {
    ended.abort();
    watching.catch(() => undefined);
  }
}

function notReady(request: HelperRequest): UserError {
  return new UserError({
    reason: "HelperNotReady",
    message: say`the helper pod on ${request.node} did not start within ${formatSeconds(READY_MS / 1000)}`,
    fix: lookAt(request),
  });
}

/** Puts the Job's deadline off to this many seconds after its start. */
export async function extendDeadline(connection: Connection, { namespace, name }: HelperRequest, seconds: number): Promise<void> {
  const body = { spec: { activeDeadlineSeconds: seconds } };
  await callJson(connection, {
    method: "PATCH",
    path: `${jobsPath(namespace)}/${name}`,
    body,
    contentType: "application/merge-patch+json",
    repeatable: true,
  });
}

/** Ends the Job and its pod, also after an interruption, and waits until the pod is gone: `made` is false where none was seen yet. */
export async function removeJob(connection: Connection, request: HelperRequest, made = true): Promise<void> {
  const { namespace, name } = request;
  const body = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Background", gracePeriodSeconds: 0 };
  const path = `${jobsPath(namespace)}/${name}`;
  const answer = await connection.call({ method: "DELETE", path, body, evenAfterAbort: true, timeoutMs: GONE_MS, repeatable: true });
  if (answer.status >= 300 && answer.status !== 404) throw apiFailure(answer, { method: "DELETE", path });
  const waiting = { ...podsOf(request), signal: AbortSignal.timeout(GONE_MS), evenAfterAbort: true };
  const gone = async (): Promise<void> => void (await waitFor(connection, waiting, (pods) => pods.length === 0 || undefined));
  try {
    await gone();
    if (made || answer.status === 404) return;
    // A controller that has not heard of the removal still makes the pod of a Job that was there.
    await sleep(LATE_MS);
    await gone();
  } catch (error) {
    if (!waiting.signal.aborted && !(error instanceof UserError)) throw error;
  }
}

function podsOf({ namespace, name }: HelperRequest) {
  return { path: apiPath`/api/v1/namespaces/${namespace}/pods`, labelSelector: `kubectl-checkpoint/helper=${name}` };
}

function jobsPath(namespace: string): string {
  return apiPath`/apis/batch/v1/namespaces/${namespace}/jobs`;
}

/** Undefined while it may still come. Throws where it will not. */
function runningPod(pod: Json, request: HelperRequest): Helper["pod"] | undefined {
  const status = object(pod["status"]);
  const container = object(list(status["containerStatuses"])[0]);
  const state = object(container["state"]);
  if (state["running"] !== undefined) {
    return { namespace: request.namespace, name: string(object(pod["metadata"])["name"]), imageID: string(container["imageID"]) };
  }
  const { reason, message } = object(state["waiting"]);
  if (/^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|RegistryUnavailable)$/.test(string(reason))) {
    throw new UserError({
      reason: "HelperImage",
      message: say`cannot pull the helper image ${request.settings.image} on ${request.node}`,
      why: string(message) || string(reason),
      fix: "use an image that the node can pull (any with sh, dd, cat, wc and sha256sum): --helper-image IMAGE; --helper-pull-secret NAME for credentials",
    });
  }
  if (/Error$|^CreateContainerError$/.test(string(reason))) throw notStarted(request, `${string(reason)}: ${string(message)}`);
  if (status["phase"] === "Succeeded") throw ended(request);
  if (status["phase"] === "Failed") {
    const terminated = object(state["terminated"]);
    throw notStarted(
      request,
      [status["reason"], status["message"], terminated["reason"], terminated["message"]].map(string).filter(Boolean).join(": "),
    );
  }
  return undefined;
}

/** What it waits for, by its events and its node. Throws where they say that it waits in vain. */
async function whyNot(connection: Connection, request: HelperRequest, pod: Json | undefined): Promise<string> {
  const { namespace, name, node, directory } = request;
  const isArchives = directory === request.settings.checkpointDir;
  const about = pod === undefined ? name : string(object(pod["metadata"])["name"]);
  const query = { fieldSelector: `involvedObject.name=${about}` };
  const events = object(
    await callJson(connection, { path: apiPath`/api/v1/namespaces/${namespace}/events`, query }).catch(() => undefined),
  );
  const last = list(events["items"]).map(object).at(-1) ?? {};
  const [reason, message] = [string(last["reason"]), string(last["message"])];
  if (reason === "FailedCreate") throw refusal(message, request);
  // Of the Job: its pod has run to its end, and is gone.
  if (pod === undefined && reason === "Completed") throw ended(request);
  if (reason === "FailedMount") {
    throw new UserError({
      reason: "HelperMount",
      message: isArchives ? say`checkpoint directory ${directory} not found on ${node}` : say`directory ${directory} not found on ${node}`,
      why: message,
      fix: isArchives
        ? "if the kubelet has another root directory: --checkpoint-dir DIR; else no checkpoint was taken on this node yet"
        : undefined,
    });
  }
  await ensureNodeReady(connection, request);
  return message === "" ? "starting" : message;
}

/** Throws where the node is known not to run pods; a user who may not read nodes is not told. */
async function ensureNodeReady(connection: Connection, { node }: HelperRequest): Promise<void> {
  const answer = await connection.call({ path: apiPath`/api/v1/nodes/${node}` });
  if (answer.status === 404)
    throw new UserError({ reason: "NodeNotFound", message: say`node/${node} not found`, fix: "kubectl get nodes" });
  if (answer.status !== 200) return;
  const conditions = list(object(object(JSON.parse(answer.text))["status"])["conditions"]).map(object);
  const ready = conditions.find((condition) => condition["type"] === "Ready");
  if (ready === undefined || ready["status"] === "True") return;
  throw new UserError({
    reason: "HelperNodeNotReady",
    message: say`node/${node} is not ready, so the helper pod cannot start there`,
    why: string(ready["message"]) || string(ready["reason"]),
    fix: command`kubectl describe node ${node}`,
  });
}

/** Its watchdog ends a pod that nobody reaches. */
function ended({ node }: HelperRequest): UserError {
  return new UserError({
    reason: "HelperLost",
    message: say`the helper pod on ${node} ended before it was reached`,
    why: "it ends by itself when it receives no request for a minute: the connection to the cluster is slow or was interrupted",
    fix: "rerun the command",
  });
}

function notStarted(request: HelperRequest, why: string): UserError {
  return new UserError({
    reason: "HelperNotStarted",
    message: say`the helper pod on ${request.node} did not start`,
    why: why || undefined,
    fix: lookAt(request),
  });
}

function lookAt({ namespace, name }: HelperRequest): Phrase {
  return command`kubectl get events -n ${namespace} --field-selector ${`involvedObject.name=${name}`}`;
}
