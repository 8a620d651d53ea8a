import { setTimeout as sleep } from "node:timers/promises";
import { callJson } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import type { Container, Pod } from "../../cluster/pods.ts";
import { postCheckpoint } from "../../kubelet/checkpoint.ts";
import { forecast, outlastsProbe, overfillsDisk, pausedSeconds, type Forecast } from "../../kubelet/forecast.ts";
import type { About, CheckpointTarget } from "../../kubelet/target.ts";
import { itemError, type CheckpointItem } from "../../model/documents.ts";
import { UserError } from "../../model/error.ts";
import { object, string } from "../../model/json.ts";
import type { NodeArchive } from "../../model/location.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../model/units.ts";
import type { FlowContext } from "../context.ts";
import { requireRights, type VerbContext } from "../rights.ts";
import { Original, withProof, type Proof } from "./proof.ts";
import { ensureRunning, type ContainerTarget } from "./targets/containers.ts";

/** How a capture ended: always an item; `error` is what went wrong, in full. */
export interface Captured {
  readonly item: CheckpointItem;
  readonly archive?: NodeArchive;
  readonly error?: UserError;
  /** What becomes of the original, known later: see `proved`. Absent where nothing was done to it, or where it is not watched. */
  readonly proof?: Promise<Proof>;
}

/** The capture once its proof is there: in its item. What could not be seen is a warning. Never throws a UserError. */
export async function proved<T extends Captured>({ emit }: FlowContext, captured: T): Promise<T> {
  if (captured.proof === undefined) return captured;
  const proof = await captured.proof;
  const { pod, container } = captured.item;
  if (proof.stillRunning === null && proof.why !== undefined)
    emit({ kind: "warning", text: say`whether container ${container} in pod/${pod} is still running is unknown: ${proof.why}` });
  return { ...captured, item: withProof(captured.item, proof) };
}

const FORECAST_MS = 500;
/** What a container is taken to hold where it may not be read. */
const UNKNOWN_MEMORY = 256 * 1024 * 1024;
/** How long a paused container is waited for where no --timeout says so. */
const PAUSED_PATIENCE_MS = 120_000;
/** Where the verb does not say that it needs more. */
const CHECKPOINT_RIGHTS = [{ verb: "create", group: "", resource: "nodes", subresource: "proxy" }];

export interface CaptureOptions {
  /** After this long the client hangs up, and the kubelet cancels; undefined is no limit. */
  readonly timeoutMs: number | undefined;
  /** How long the original is watched after the kubelet's answer; 0 is not at all. */
  readonly proveMs: number;
  /** Where the caller knows already what to expect. */
  readonly expected?: Forecast;
  /** Whose progress it is: of the container itself, or of its node where many are taken. */
  readonly lane?: string;
  /** How far the caller is with others, said before what is done. */
  readonly prefix?: Phrase;
  /** The node's runtime is not asked for: nobody will see it. */
  readonly withoutRuntime?: boolean;
}

/** Failures after which the container may have been frozen, and its system calls interrupted. */
const TOUCHED =
  /^(CRIUFailed|TimedOut|OutcomeUnknown|NodeDiskFull|CheckpointCollision|RuntimeTimedOut|AnswerInvalid|CheckpointFailed|DirectoryNotWritable|FreezeFailed)$/;

/** Checkpoints one container. Throws no UserError: it is in what comes back. */
export async function captureOne(context: VerbContext, named: ContainerTarget, options: CaptureOptions): Promise<Captured> {
  const { timeoutMs, proveMs, lane = `${named.pod.namespace}/${named.pod.name}/${named.container.name}`, prefix = say`` } = options;
  const place = { node: named.pod.node, namespace: named.pod.namespace, pod: named.pod.name, container: named.container.name };
  let target = named;
  let startedAt = context.now();
  // Asked for beside the checkpoint, not before it.
  let runtime: Promise<{ runtime?: string }> = Promise.resolve({});
  const item = async (more: Partial<CheckpointItem>): Promise<CheckpointItem> => ({
    ...identity(target),
    ...(await runtime),
    startedAt: new Date(startedAt).toISOString(),
    ...finished(startedAt, context.now()),
    restartCount: target.container.restartCount,
    ...more,
  });
  const original = proveMs > 0 ? new Original(context, named) : undefined;
  try {
    ensureRunning(named);
    const [expected, current] = await Promise.all([
      options.expected ?? forecast(context.connection, place, FORECAST_MS),
      original?.current(),
    ]);
    target = current ?? named;
    ensureRunning(target);
    warn(context, target.container, place, expected);
    context.emit({ kind: "activity", lane, text: say`${prefix}${activity(place, expected)}` });
    if (options.withoutRuntime !== true) runtime = nodeRuntime(context, place.node);
    const starting = (): void => void (startedAt = context.now());
    const about = async (): Promise<About> => ({
      ...(await (options.withoutRuntime === true ? nodeRuntime(context, place.node) : runtime)),
      containerID: target.container.containerID,
      ...runtimeClass(target.pod),
    });
    const call = async (): Promise<NodeArchive> =>
      await checkpointWhenPossible(context, place, lane, { timeoutMs, expected, starting, about });
    const archive = await (context.criuOptions?.during(place.node, call) ?? call());
    const end = finished(startedAt, context.now());
    const made = { ...end, pausedSeconds: end.seconds, nodePath: archive.path, ...(original === undefined ? { stillRunning: null } : {}) };
    return { archive, item: await item(made), ...prove(original, proveMs) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (!TOUCHED.test(error.reason)) {
      original?.stop();
      return { error, item: await item({ error: itemError("checkpoint", error) }) };
    }
    const end = finished(startedAt, context.now());
    const failed = await item({ ...end, pausedSeconds: end.seconds, error: itemError("checkpoint", error) });
    return { error, item: failed, ...prove(original, proveMs) };
  } finally {
    context.emit({ kind: "idle", lane });
  }
}

/** From now on: the kubelet has answered. */
function prove(original: Original | undefined, proveMs: number): Pick<Captured, "proof"> {
  return original === undefined ? {} : { proof: original.watch(proveMs) };
}

function runtimeClass({ object: { spec } }: Pod): Pick<About, "runtimeClass"> {
  const name = string(object(spec)["runtimeClassName"]);
  return name === "" ? {} : { runtimeClass: name };
}

/**
 * The one case in which the POST is sent again: the container is paused, by another checkpoint of it. That one then writes
 * its archive, and containerd would mix the files of both: the next try waits for as long as the whole call may take.
 */
async function checkpointWhenPossible(
  { connection, signal, emit, now, rights = CHECKPOINT_RIGHTS }: VerbContext,
  target: CheckpointTarget,
  lane: string,
  {
    timeoutMs,
    expected,
    starting,
    about,
  }: { timeoutMs: number | undefined; expected: Forecast; starting: () => void; about: () => Promise<About> },
): Promise<NodeArchive> {
  const deadline = now() + (timeoutMs ?? PAUSED_PATIENCE_MS);
  const pause = 1500 * pausedSeconds(expected.memoryBytes ?? UNKNOWN_MEMORY);
  for (let delay = pause; ; delay *= 2) {
    starting();
    const left = timeoutMs === undefined ? undefined : Math.max(1, deadline - now());
    try {
      return await requireRights(
        connection,
        rights,
        async () => await postCheckpoint(connection, target, { timeoutMs: left, givenMs: timeoutMs, signal, about }),
      );
    } catch (error) {
      if (!(error instanceof UserError && error.reason === "ContainerPaused") || now() + delay > deadline) throw error;
      emit({
        kind: "activity",
        lane,
        text: say`waiting: container ${target.container} in pod/${target.pod} is paused, as by another checkpoint of it`,
      });
      await sleep(delay, undefined, { signal }).catch(() => Promise.reject(signal.reason as Error));
    }
  }
}

function warn({ emit }: FlowContext, container: Container, { pod, node }: CheckpointTarget, expected: Forecast): void {
  const { memoryBytes = 0, roomBytes = 0 } = expected;
  const { livenessProbe } = container;
  if (livenessProbe !== undefined && outlastsProbe(expected, livenessProbe)) {
    const patience = formatSeconds(livenessProbe.periodSeconds * livenessProbe.failureThreshold);
    emit({
      kind: "warning",
      text: say`the pause (up to about ${formatSeconds(pausedSeconds(memoryBytes))} for ${formatBytes(memoryBytes)}) may outlast the liveness probe of container ${container.name} in pod/${pod} (${patience}): the kubelet would restart it`,
    });
  }
  if (overfillsDisk(expected)) {
    emit({
      kind: "warning",
      text: say`the archive (about ${formatBytes(memoryBytes)}, twice that while it is written) may push the disk of ${node} over its eviction threshold (${formatBytes(roomBytes)} left until then): the kubelet would evict pods`,
    });
  }
}

function activity({ container, pod, node }: CheckpointTarget, { memoryBytes }: Forecast) {
  const what = say`checkpointing container ${container} in pod/${pod} on ${node}`;
  if (memoryBytes === undefined) return what;
  return say`${what} (about ${formatBytes(memoryBytes)}, paused for up to about ${formatSeconds(pausedSeconds(memoryBytes))})`;
}

/** Of the node's status: whoever may not read nodes goes without. Never throws. */
async function nodeRuntime({ connection }: FlowContext, node: string): Promise<{ runtime?: string }> {
  if (node === "") return {};
  const answer = await callJson(connection, { path: apiPath`/api/v1/nodes/${node}` }).catch(() => undefined);
  const runtime = string(object(object(object(answer)["status"])["nodeInfo"])["containerRuntimeVersion"]);
  return runtime === "" ? {} : { runtime };
}

function identity({ pod, container }: ContainerTarget) {
  const { namespace, name, uid, node } = pod;
  return {
    namespace,
    pod: name,
    podUID: uid,
    container: container.name,
    containerID: container.containerID,
    imageID: container.imageID,
    node,
  };
}

function finished(startedAt: number, now: number) {
  return { finishedAt: new Date(now).toISOString(), seconds: Math.round(now - startedAt) / 1000 };
}
