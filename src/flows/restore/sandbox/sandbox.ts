import { randomInt } from "node:crypto";
import type { Unlock } from "../../../age/open.ts";
import { engineOf } from "../../../archive/engines/engine.ts";
import { ApiFailure } from "../../../cluster/answer.ts";
import type { Right } from "../../../cluster/access.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { waitFor } from "../../../cluster/watch.ts";
import type { Reference } from "../../../image/reference.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { command, joined, say, type Phrase } from "../../../model/phrase.ts";
import { criuFailure } from "../../../sandbox/failures.ts";
import { sandboxPlan, type SandboxNetwork, type SandboxPlan } from "../../../sandbox/plan.ts";
import { processorFeatures } from "../../../sandbox/processor.ts";
import { sandboxPod } from "../../../sandbox/pod.ts";
import type { FlowContext } from "../../context.ts";
import { byteProgress } from "../../progress.ts";
import { ensureRights, requireRights } from "../../rights.ts";
import { Creation } from "../create.ts";
import { archiveFacts } from "../image/facts.ts";
import type { RegistrySettings } from "../image/registries.ts";
import { undoing } from "../undo.ts";
import { baseImage } from "./base.ts";
import { compareBase } from "./base-files.ts";
import { notReceived, SandboxChannel } from "./channel.ts";
import { checkpointFile, checkpointImage, type SandboxCheckpoint } from "./checkpoint.ts";
import { sandboxNodes, type SandboxNodes } from "./nodes.ts";

export interface SandboxRequest {
  /** Undefined: `reference` is a checkpoint image. */
  readonly file: string | undefined;
  readonly reference: Reference | undefined;
  readonly stopped: boolean;
  readonly network: SandboxNetwork;
  readonly ttlSeconds: number;
  readonly node: string | undefined;
  readonly name: string | undefined;
  /** As -n says. */
  readonly namespace: string | undefined;
  /** --base-image */
  readonly baseImage: string | undefined;
  /** The helper image, and the secret that it and the base image are pulled with. */
  readonly image: string;
  readonly pullSecret: string | undefined;
  readonly settings: RegistrySettings;
  /** Opens FILE.age. */
  readonly unlock?: Unlock | undefined;
  /** Whether CRIU's log is shown whole where it fails. */
  readonly explain: boolean;
}

/** What would be created, and what is known of it. */
export interface PlannedSandbox extends AsyncDisposable {
  readonly pod: Json;
  readonly name: string;
  readonly namespace: string;
  readonly container: string;
  readonly plan: SandboxPlan;
  readonly port: number;
  readonly checkpoint: SandboxCheckpoint;
  /** Whether the archive is sent to the pod; else the pod mounts it. */
  readonly sent: boolean;
}

export interface RestoredSandbox {
  readonly node: string;
  /** From the creation of the pod until the processes were restored. */
  readonly seconds: number;
}

/** Where sandboxes go, where nothing else is said. */
const NAMESPACE = "kubectl-checkpoint";
const SUFFIX = "-sandbox";
const LONGEST_NAME = 63;
const UNKNOWN_NODES: SandboxNodes = { candidates: undefined, imageVolumes: true, lacking: undefined };
const READY_MS = 300_000;

/** Reads the checkpoint and plans its pod. Throws a UserError where it cannot be restored; nothing was created then. */
export async function planSandbox(context: FlowContext, request: SandboxRequest, look: boolean): Promise<PlannedSandbox> {
  const { file, reference, stopped, network } = request;
  const checkpoint =
    file === undefined && reference !== undefined
      ? await checkpointImage(context, reference, request.settings)
      : await checkpointFile(file ?? "", context, request.unlock);
  try {
    const { archive, origin, image } = checkpoint;
    for (const text of checkpoint.problems) context.emit({ kind: "warning", text });
    const info = await engineOf(archive);
    const { architecture } = await archiveFacts(archive);
    const base = baseImage(info, origin, request.baseImage);
    const other = look ? await compareBase(context, request.settings, base, { archive, architecture }) : undefined;
    if (other !== undefined) context.emit({ kind: "warning", text: other });
    const nodes = look
      ? await sandboxNodes(context, { node: request.node, architecture, features: await processorFeatures(archive) })
      : UNKNOWN_NODES;
    if (nodes.lacking !== undefined) context.emit({ kind: "warning", text: nodes.lacking });
    const mounted = nodes.imageVolumes ? image : undefined;
    const options = {
      stopped,
      network,
      archive: mounted === undefined ? "/work/archive" : "/archive",
      beside: checkpoint.volumes,
    } as const;
    const plan = await sandboxPlan(archive, options, context.signal);
    const original = info.pod ?? info.container ?? "checkpoint";
    const name = request.name ?? `${podName(original).slice(0, LONGEST_NAME - SUFFIX.length)}${SUFFIX}`;
    const namespace = request.namespace ?? NAMESPACE;
    const port = freePort(plan.ports);
    const pod = sandboxPod({
      name,
      namespace,
      node: request.node,
      candidates: nodes.candidates,
      architecture,
      image: request.image,
      base: base.reference,
      imageVolumes: nodes.imageVolumes,
      checkpoint: mounted,
      memory: plan.memory,
      archiveBytes: (mounted === undefined ? expandedBytes(checkpoint) : 0) + (checkpoint.volumes?.sent.bytes ?? 0),
      ttlSeconds: request.ttlSeconds,
      port,
      terminal: plan.terminal,
      pullSecret: request.pullSecret,
      origin: `${info.namespace ?? ""}/${original}`,
      user: context.connection.selection.userName,
    });
    for (const note of plan.notes) context.emit({ kind: "warning", text: note });
    const container = info.container ?? original;
    return {
      pod,
      name,
      namespace,
      container,
      plan,
      port,
      checkpoint,
      sent: mounted === undefined,
      [Symbol.asyncDispose]: async () => await checkpoint[Symbol.asyncDispose](),
    };
  } catch (error) {
    await checkpoint[Symbol.asyncDispose]();
    throw error;
  }
}

function expandedBytes({ archive, bytes }: SandboxCheckpoint): number {
  let sum = 0;
  for (const { size } of archive.members.values()) sum += size;
  return Math.max(sum, bytes);
}

export function sandboxRights(namespace: string): Right[] {
  const right = (verb: string, subresource?: string): Right => ({
    verb,
    group: "",
    resource: "pods",
    namespace,
    ...(subresource === undefined ? {} : { subresource }),
  });
  return [right("create"), right("get"), right("delete"), right("get", "portforward"), right("create", "portforward")];
}

/** Asks the API server whether it would take the pod: PodSecurity, quotas, webhooks. Answers with the pod as it would have it. */
export async function dryRunSandbox({ connection }: FlowContext, { pod, namespace, name }: PlannedSandbox): Promise<Json> {
  await ensureRights(connection, sandboxRights(namespace));
  const path = podsPath(namespace);
  try {
    const answer = object(await callJson(connection, { method: "POST", path, query: { dryRun: "All" }, body: pod, repeatable: true }));
    if (object(answer["spec"])["hostUsers"] !== false) throw noUserNamespaces();
    return answer;
  } catch (error) {
    throw refused(error, namespace, name);
  }
}

/** Creates the pod, sends it the archive, and has CRIU restore it. Where that fails, or is interrupted, the pod is deleted again. */
export async function restoreSandbox(context: FlowContext, planned: PlannedSandbox, explain: boolean): Promise<RestoredSandbox> {
  const { name, namespace, pod } = planned;
  let deleted = false;
  try {
    return await requireRights(
      context.connection,
      sandboxRights(namespace),
      async () =>
        await undoing(context, async (undo) => {
          const creation = new Creation(context, undo, podsPath(namespace), pod);
          const taken = undo.add({
            what: say`delete pod/${name}`,
            byHand: say`It may be running in namespace ${namespace}: ${command`kubectl delete pod ${name} -n ${namespace}`}`,
            back: async () => void (deleted = await creation.remove()),
          });
          const started = performance.now();
          await creation.made().catch((error: unknown) => Promise.reject(refused(error, namespace, name)));
          const node = await restoredIn(context, planned, explain);
          taken.keep();
          return { node, seconds: Math.round(performance.now() - started) / 1000 };
        }),
    );
  } catch (error) {
    if (!deleted || !(error instanceof UserError)) throw error;
    const { message, why, fix } = error.said;
    throw new UserError({ reason: error.reason, message: say`${message}; pod/${name} was deleted again`, why, fix, cause: error });
  }
}

/** Has CRIU restore the processes in the pod; answers with its node. Throws a UserError where they are not restored. */
async function restoredIn(context: FlowContext, planned: PlannedSandbox, explain: boolean): Promise<string> {
  const { connection, emit, signal } = context;
  const { name, namespace, checkpoint, plan, port, sent } = planned;
  const lane = `sandbox ${namespace}/${name}`;
  const activity = (text: Phrase): void => emit({ kind: "activity", lane, text });
  try {
    activity(say`waiting for pod/${name}`);
    const node = await running(context, planned);
    const channel = new SandboxChannel(connection, { namespace, name }, port, signal);
    await channel.ready();
    if (sent) {
      const progress = byteProgress(context, lane, say`sending the archive to pod/${name}`, checkpoint.bytes);
      const { sha256, failure } = await channel.send("archive", checkpoint.sent, (bytes) => progress.update(bytes));
      progress.end();
      if (failure !== undefined) throw notReceived(failure);
      if (checkpoint.expected !== undefined && checkpoint.expected !== sha256) throw changed("archive", sha256);
    }
    if (checkpoint.volumes !== undefined) await sendVolumes(context, channel, checkpoint.volumes, lane, name);
    activity(say`restoring in pod/${name}`);
    const [outcome = "", ...lines] = await channel.go(plan.files);
    const lacks = lines.flatMap((line) => /^lacks (\w+)$/.exec(line)?.[1] ?? []);
    if (outcome === "ended") throw endedAtOnce(node, lacks);
    if (outcome === "restored") {
      if (lacks.length > 0) emit({ kind: "warning", text: otherProcessor(node, lacks) });
      return node;
    }
    const failure = criuFailure(lines);
    const whole = explain ? say`\nits log:\n${joined(lines, "\n")}` : say``;
    throw new UserError({ ...failure, why: say`${failure.why ?? ""}${whole}` });
  } finally {
    emit({ kind: "idle", lane });
  }
}

async function sendVolumes(
  context: FlowContext,
  channel: SandboxChannel,
  volumes: NonNullable<SandboxCheckpoint["volumes"]>,
  lane: string,
  name: string,
): Promise<void> {
  const progress = byteProgress(context, lane, say`sending the volumes to pod/${name}`, volumes.sent.bytes);
  const { sha256, failure } = await channel.send("volumes", volumes.sent, (bytes) => progress.update(bytes));
  progress.end();
  if (sha256 !== volumes.sha256) throw changed("volumes", sha256);
  if (failure !== undefined)
    context.emit({ kind: "warning", text: say`not all files of the volumes could be written in the sandbox: ${failure}` });
}

function changed(what: "archive" | "volumes", sha256: string): UserError {
  const are = what === "archive" ? say`the archive is not the one` : say`the volumes are not the ones`;
  return new UserError({
    reason: "ArchiveChanged",
    message: say`${are} that the record describes: the SHA-256 is ${sha256}; nothing was restored`,
    fix: say`kubectl checkpoint verify FILE`,
  });
}

function endedAtOnce(node: string, lacks: readonly string[]): UserError {
  return new UserError({
    reason: lacks.length > 0 ? "ProcessorDiffers" : "RestoredEnded",
    message: "the processes were restored, and ended at once",
    why: lacks.length > 0 ? otherProcessor(node, lacks) : say`the base image may be another build, or what they waited for was over`,
    fix:
      lacks.length > 0
        ? say`choose a node whose processor has it (--node NODE), or examine it with --stopped`
        : say`give the image by its digest (--base-image=REFERENCE@sha256:…), or examine it with --stopped`,
  });
}

function otherProcessor(node: string, lacks: readonly string[]): Phrase {
  return say`the processor of ${node} does not have ${joined(lacks, ", ")}, which that of the checkpoint had: a process that uses it ends with SIGILL`;
}

function podsPath(namespace: string): string {
  return apiPath`/api/v1/namespaces/${namespace}/pods`;
}

/** A name that a pod may have; Podman's containers have others. */
function podName(name: string): string {
  return (
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9.-]+/g, "-")
      .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, "") || "checkpoint"
  );
}

function freePort(taken: readonly number[]): number {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (!taken.includes(port)) return port;
  }
}

/** The node, once the container runs. Throws a UserError that says why it does not. */
async function running({ connection, signal }: FlowContext, { namespace, name }: PlannedSandbox): Promise<string> {
  const deadline = AbortSignal.timeout(READY_MS);
  const waiting = { path: podsPath(namespace), name, signal: AbortSignal.any([signal, deadline]) };
  try {
    return await waitFor(connection, waiting, ([pod]) => {
      if (pod === undefined) throw new UserError({ reason: "SandboxGone", message: say`pod/${name} was deleted before it ran` });
      const status = object(pod["status"]);
      const statuses = [...list(status["initContainerStatuses"]), ...list(status["containerStatuses"])].map(object);
      for (const one of statuses) {
        const { waiting: wait, terminated } = object(one["state"]);
        const { reason, message } = object(wait);
        if (
          /^(ErrImagePull|ImagePullBackOff|InvalidImageName|CreateContainer.*Error|RunContainerError|ErrImageNeverPull|ImageInspectError)$/.test(
            string(reason),
          )
        )
          throw notStarted(name, string(reason), string(message));
        if (terminated !== undefined && object(terminated)["exitCode"] !== 0)
          throw notStarted(name, string(object(terminated)["reason"]), string(object(terminated)["message"]));
      }
      const main = list(status["containerStatuses"]).map(object)[0];
      if (string(status["phase"]) === "Failed") throw notStarted(name, string(status["reason"]), string(status["message"]));
      return object(main?.["state"])["running"] === undefined ? undefined : string(object(pod["spec"])["nodeName"]);
    });
  } catch (error) {
    if (deadline.aborted && !signal.aborted) throw notStarted(name, "", await lastEvent(connection, namespace, name));
    throw error;
  }
}

async function lastEvent(connection: FlowContext["connection"], namespace: string, name: string): Promise<string> {
  const query = { fieldSelector: `involvedObject.name=${name},involvedObject.kind=Pod` };
  const events = await callJson(connection, { path: apiPath`/api/v1/namespaces/${namespace}/events`, query }).catch(() => undefined);
  return string(list(object(events)["items"]).map(object).at(-1)?.["message"]);
}

function notStarted(name: string, reason: string, message: string): UserError {
  const words = `${reason}${message === "" ? "" : `: ${message}`}`;
  const userNamespaces = /user namespace|idmap|userns/i.test(message);
  return new UserError({
    reason: userNamespaces ? "NoUserNamespaces" : "SandboxNotStarted",
    message: say`pod/${name} did not start`,
    why: words === "" ? undefined : say`${words}`,
    fix: userNamespaces
      ? say`choose a node whose kernel and runtime support user namespaces for pods: --node NODE`
      : /executable file.* not found/i.test(message)
        ? say`the helper image lacks a program that a sandbox needs: rerun with --helper-image helper`
        : /image|pull/i.test(words)
          ? say`check that the node can pull the helper image and the base image (--helper-image, --base-image, --helper-pull-secret)`
          : say`choose another node: --node NODE`,
  });
}

function noUserNamespaces(): UserError {
  return new UserError({
    reason: "NoUserNamespaces",
    message: say`the cluster does not support user namespaces for pods; nothing was created`,
    why: say`its API server dropped hostUsers: false, which is what keeps a sandbox from the node`,
    fix: say`use a cluster of Kubernetes 1.33 or later, or a Linux machine: docs/sandbox.md`,
  });
}

function refused(error: unknown, namespace: string, name: string): unknown {
  if (!(error instanceof ApiFailure)) return error;
  if (error.status === 409)
    return new UserError({
      reason: "AlreadyExists",
      message: say`pod/${name} already exists in namespace ${namespace}`,
      fix: say`give another name (--name NAME), or delete it: ${command`kubectl delete pod ${name} -n ${namespace}`}`,
      cause: error,
    });
  if (error.status === 404)
    return new UserError({
      reason: "NamespaceNotFound",
      message: say`namespace ${namespace} not found; nothing was created`,
      fix: say`as a cluster admin, once:\n${command`kubectl create namespace ${namespace}`}\n${command`kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=privileged`}\nor use another namespace: -n NAME`,
      cause: error,
    });
  if (
    error.status === 403 &&
    /violates PodSecurity|quota|admission webhook|denied the request|ValidatingAdmissionPolicy|(minimum|maximum) /.test(error.message)
  )
    return new UserError({
      reason: "SandboxRefused",
      message: say`the sandbox pod was refused in namespace ${namespace}; nothing was created`,
      why: error.message,
      fix: /PodSecurity/.test(error.message)
        ? say`${command`kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=privileged --overwrite`}\nor use another namespace: -n NAME`
        : say`use another namespace: -n NAME`,
      cause: error,
    });
  return error;
}
