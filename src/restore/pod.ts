import { createHash } from "node:crypto";
import { UserError } from "../model/error.ts";
import { list, number, object, string, type Json } from "../model/json.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";
import { placement, type Placement } from "./placement.ts";
import { restoredVolumes } from "./volumes.ts";

export interface RestoredPodRequest {
  /** The original pod's API object. */
  readonly original: Json;
  /** The container that is restored, and its checkpoint image. */
  readonly container: string;
  readonly image: string;
  /** Of the container's process: runtimes want one, and the image has none. */
  readonly command: readonly string[];
  readonly name: string;
  readonly namespace: string;
  readonly placement: Placement;
  readonly keep: Keep;
  /** Images of other containers, by their names. */
  readonly setImages: ReadonlyMap<string, string>;
  /** No token, no network. */
  readonly isolated: boolean;
  /** A service account's token was mounted, as the archive tells. */
  readonly tokenMounted: boolean;
  /** Host ports stay: nothing else has them where the pod goes. */
  readonly keepHostPorts: boolean;
}

/** What kubectl debug --copy-to drops as well: labels lead traffic and ReplicaSets to a pod, probes kill it. */
export interface Keep {
  readonly labels: boolean;
  readonly annotations: boolean;
  readonly liveness: boolean;
  readonly readiness: boolean;
  readonly startup: boolean;
}

export interface RestoredPod {
  readonly pod: Json;
  /** What is different from the original, or may surprise: a sentence each. */
  readonly notes: readonly Phrase[];
}

/** On every pod that is restored; its value is the pod's own. */
export const RESTORED_LABEL = "checkpoint.kubectl/restored";
/** NAMESPACE/POD that the checkpoint was taken of. */
export const ORIGIN_ANNOTATION = "checkpoint.kubectl/origin";

/** Of the pod's spec: set by the API server or the scheduler, or for another moment. */
const DROPPED = new Set([
  "nodeName",
  "priority",
  "preemptionPolicy",
  "schedulingGates",
  "ephemeralContainers",
  "overhead",
  "serviceAccount",
  "nodeSelector",
  "affinity",
  "topologySpreadConstraints",
  "hostnameOverride",
]);
/** Isolated, it has nobody's rights: some clusters give credentials by the service account's name. */
const ACCOUNT = new Set(["serviceAccountName"]);
/** On both pods of a move while it is under way: "original" or "copy". Its annotation says of what, and what is to be put back. */
export const MOVING = "checkpoint.kubectl/moving";
const OF_MOVES = new Set([MOVING]);
/** kubectl's copy of the manifest, which is another one now; what is about another request. */
const OF_OTHERS = new Set(["kubectl.kubernetes.io/last-applied-configuration", "kubectl-checkpoint/request", MOVING]);
const HOST_PORT = new Set(["hostPort"]);
const ARGUMENTS = new Set(["args"]);

/** A pod that a runtime restores one container of. Throws a UserError where it cannot be. */
export function restoredPod(request: RestoredPodRequest): RestoredPod {
  const { original, name, namespace, keep, isolated } = request;
  const metadata = object(original["metadata"]);
  const spec = object(original["spec"]);
  const volumes = restoredVolumes(spec, request.container, isolated, request.tokenMounted);
  const placed = placement({ spec, labels: object(metadata["labels"]), keepsLabels: keep.labels }, request.placement);
  const containers = restoredContainers(request, list(spec["containers"]).map(object), volumes.mounts);
  const initContainers = list(spec["initContainers"]).map(object);
  const kept = without(isolated ? without(spec, ACCOUNT) : spec, DROPPED);
  const labels = {
    ...(keep.labels ? without(object(metadata["labels"]), OF_MOVES) : {}),
    [RESTORED_LABEL]: restoredId(namespace, name),
  };
  const annotations = keep.annotations ? without(object(metadata["annotations"]), OF_OTHERS) : {};
  return {
    pod: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels, annotations: { ...annotations, [ORIGIN_ANNOTATION]: originOf(original) } },
      spec: {
        ...kept,
        ...placed.spec,
        ...(isolated ? { automountServiceAccountToken: false, enableServiceLinks: false } : {}),
        ...(initContainers.length === 0 ? {} : { initContainers: initContainers.map(volumes.mounts) }),
        containers: containers.specs,
        volumes: volumes.volumes,
      },
    },
    notes: [...placed.notes, ...volumes.notes, ...containers.notes, ...specNotes(spec, initContainers)],
  };
}

function without(value: Json, keys: ReadonlySet<string>): Json {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.has(key)));
}

/** Tells the pods that are restored from each other, and is the same for the same name. */
export function restoredId(namespace: string, name: string): string {
  return createHash("sha256").update(`${namespace}/${name}`).digest("hex").slice(0, 16);
}

/** NAMESPACE/POD; of a pod that was itself restored, that of the first one. */
export function originOf(pod: Json): string {
  const { name, namespace, annotations } = object(pod["metadata"]);
  return string(object(annotations)[ORIGIN_ANNOTATION]) || `${string(namespace)}/${string(name)}`;
}

function restoredContainers(
  request: RestoredPodRequest,
  containers: readonly Json[],
  mounts: (container: Json) => Json,
): { specs: Json[]; notes: Phrase[] } {
  const { container, image, command, setImages, keepHostPorts } = request;
  const notes: Phrase[] = [];
  const names = containers.map((one) => string(one["name"]));
  if (!names.includes(container)) {
    throw new UserError({
      reason: "NoSuchContainer",
      message: say`the pod's manifest has no container ${container}; nothing was created`,
      why: say`it has ${joined(names, ", ")}: init and ephemeral containers cannot be restored`,
    });
  }
  for (const name of setImages.keys()) {
    if (names.includes(name) && name !== container) continue;
    const why = name === container ? "it is the container that is restored, from --image" : say`the pod has ${joined(names, ", ")}`;
    const message = say`invalid value "${name}" for --set-image: use the name of another container of the pod`;
    throw new UserError({ reason: "NoSuchContainer", message, why, exitCode: 2 });
  }
  const specs = containers.map((one) => {
    const name = string(one["name"]);
    const ports = list(one["ports"]).map(object);
    const hostPorts = ports.flatMap((port) => number(port["hostPort"]) ?? []);
    const dropsPorts = hostPorts.length > 0 && !keepHostPorts && object(request.original["spec"])["hostNetwork"] !== true;
    if (dropsPorts) notes.push(say`host ports of container ${name} are not kept (${joined(hostPorts, ", ")}): the original may use them`);
    const common = {
      ...withoutProbes(mounts(one), request.keep),
      ...(dropsPorts ? { ports: ports.map((port) => without(port, HOST_PORT)) } : {}),
    };
    if (name !== container) return setImages.has(name) ? { ...common, image: setImages.get(name) } : common;
    if (object(one["lifecycle"])["postStart"] !== undefined) notes.push(say`the postStart hook of container ${name} runs again`);
    return {
      // With the whole command, arguments of their own would come twice.
      ...(command.length === 0 ? common : without(common, ARGUMENTS)),
      image,
      imagePullPolicy: image.includes("@") ? "IfNotPresent" : "Always",
      ...(command.length === 0 ? {} : { command: [...command] }),
    };
  });
  const others = names.filter((name) => name !== container && !setImages.has(name));
  if (others.length > 0) notes.push(say`only container ${container} is restored; started from the beginning: ${joined(others, ", ")}`);
  return { specs, notes };
}

function withoutProbes(container: Json, { liveness, readiness, startup }: Keep): Json {
  const { livenessProbe, readinessProbe, startupProbe, ...rest } = container;
  return {
    ...rest,
    ...(liveness && livenessProbe !== undefined ? { livenessProbe } : {}),
    ...(readiness && readinessProbe !== undefined ? { readinessProbe } : {}),
    ...(startup && startupProbe !== undefined ? { startupProbe } : {}),
  };
}

function specNotes(spec: Json, initContainers: readonly Json[]): Phrase[] {
  const ephemeral = list(spec["ephemeralContainers"]).map((one) => string(object(one)["name"]));
  const inits = initContainers.map(({ name }) => string(name));
  return [
    ...(spec["hostNetwork"] === true ? [say`the pod uses the node's network: its ports must be free there`] : []),
    ...(inits.length > 0 ? [say`init containers run again: ${joined(inits, ", ")}`] : []),
    ...(ephemeral.length > 0 ? [say`ephemeral containers are not created again: ${joined(ephemeral, ", ")}`] : []),
    ...(list(spec["resourceClaims"]).length > 0 ? [say`the pod has resource claims: it may get other devices than the original had`] : []),
  ];
}
