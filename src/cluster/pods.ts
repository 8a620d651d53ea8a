import { UserError } from "../model/error.ts";
import { list, number, object, string, type Json } from "../model/json.ts";
import { callJson } from "./api.ts";
import { apiPath, type Connection } from "./connection.ts";
import { pages } from "./lists.ts";

export type ContainerKind = "init" | "container" | "ephemeral";

/** What is looked at of a container: its part of the spec, and of the status where it has one. */
export interface Container {
  readonly name: string;
  readonly kind: ContainerKind;
  readonly livenessProbe?: LivenessProbe;
  readonly state: ContainerState;
  /** "containerd://…"; empty before the first start. */
  readonly containerID: string;
  readonly imageID: string;
  readonly restartCount: number;
}

export type ContainerState =
  | { readonly phase: "running" }
  | { readonly phase: "waiting"; readonly reason: string; readonly message: string }
  | { readonly phase: "terminated"; readonly reason: string; readonly exitCode: number };

export interface LivenessProbe {
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Empty until it is scheduled. */
  readonly node: string;
  readonly createdAt: number;
  /** Pending, Running, Succeeded, Failed, Unknown. */
  readonly phase: string;
  /** Of kubectl.kubernetes.io/default-container. */
  readonly defaultContainer: string | undefined;
  /** Init containers, containers, ephemeral containers: in this order, whether they run or not. */
  readonly containers: readonly Container[];
  /** The API object itself. */
  readonly object: Json;
}

/** In objects: short, to be there soon. */
const FIRST_PAGE = 100;

/** Throws an ApiFailure; AnswerInvalid where the answer is no pod. */
export async function getPod(connection: Connection, namespace: string, name: string): Promise<Pod> {
  return readPod(await callJson(connection, { path: apiPath`/api/v1/namespaces/${namespace}/pods/${name}` }));
}

/** A field selector: pending pods too, since their init containers may run. */
export const NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed";

/** Which pods; without a namespace those of the whole cluster. */
export interface PodQuery {
  readonly namespace: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** Pods page by page, so that the first ones are there at once. */
export async function* listPods(connection: Connection, { namespace, labelSelector, fieldSelector }: PodQuery): AsyncGenerator<Pod[]> {
  const path = namespace === undefined ? "/api/v1/pods" : apiPath`/api/v1/namespaces/${namespace}/pods`;
  for await (const page of pages(connection, { path, labelSelector, fieldSelector, first: FIRST_PAGE })) yield page.map(readPod);
}

export function isRunning({ state }: Container): boolean {
  return state.phase === "running";
}

/** Throws AnswerInvalid where the object has no name: everything else that a pod may lack has a meaning. */
export function readPod(value: unknown): Pod {
  const pod = object(value);
  const metadata = object(pod["metadata"]);
  const spec = object(pod["spec"]);
  const status = object(pod["status"]);
  const name = string(metadata["name"]);
  if (name === "") throw new UserError({ reason: "AnswerInvalid", message: "the API server answered with something that is not a pod" });
  return {
    namespace: string(metadata["namespace"]),
    name,
    uid: string(metadata["uid"]),
    node: string(spec["nodeName"]),
    createdAt: Date.parse(string(metadata["creationTimestamp"])),
    phase: string(status["phase"]),
    defaultContainer: string(object(metadata["annotations"])["kubectl.kubernetes.io/default-container"]) || undefined,
    containers: [
      ...containers("init", spec["initContainers"], status["initContainerStatuses"]),
      ...containers("container", spec["containers"], status["containerStatuses"]),
      ...containers("ephemeral", spec["ephemeralContainers"], status["ephemeralContainerStatuses"]),
    ],
    object: pod,
  };
}

function containers(kind: ContainerKind, specs: unknown, statuses: unknown): Container[] {
  const byName = new Map(list(statuses).map((status) => [string(object(status)["name"]), object(status)]));
  return list(specs).map((value) => {
    const spec = object(value);
    const name = string(spec["name"]);
    const status = byName.get(name) ?? {};
    const probe = spec["livenessProbe"];
    return {
      name,
      kind,
      ...(probe === undefined ? {} : { livenessProbe: livenessProbe(object(probe)) }),
      state: state(object(status["state"])),
      containerID: string(status["containerID"]),
      imageID: string(status["imageID"]),
      restartCount: number(status["restartCount"]) ?? 0,
    };
  });
}

function state(value: Json): ContainerState {
  if (value["running"] !== undefined) return { phase: "running" };
  if (value["terminated"] !== undefined) {
    const terminated = object(value["terminated"]);
    return { phase: "terminated", reason: string(terminated["reason"]), exitCode: number(terminated["exitCode"]) ?? 0 };
  }
  const waiting = object(value["waiting"]);
  return { phase: "waiting", reason: string(waiting["reason"]), message: string(waiting["message"]) };
}

/** Defaults of the API, which fills them in itself. */
function livenessProbe(probe: Json): LivenessProbe {
  return {
    periodSeconds: number(probe["periodSeconds"]) ?? 10,
    timeoutSeconds: number(probe["timeoutSeconds"]) ?? 1,
    failureThreshold: number(probe["failureThreshold"]) ?? 3,
  };
}
