import { ApiFailure } from "../cluster/answer.ts";
import { callJson } from "../cluster/api.ts";
import { apiPath } from "../cluster/connection.ts";
import { getPod, isRunning, type Container, type Pod } from "../cluster/pods.ts";
import { UserError } from "../model/error.ts";
import type { FlowContext } from "./context.ts";

/** One running container of one pod. */
export interface ContainerTarget {
  readonly pod: Pod;
  readonly container: Container;
}

/** The pod. Where there is none, the error tells whether its namespace is missing too. */
export async function findPod({ connection }: FlowContext, name: string): Promise<Pod> {
  const { namespace } = connection;
  try {
    return await getPod(connection, namespace, name);
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 404)) throw error;
    const noNamespace = await callJson(connection, { path: apiPath`/api/v1/namespaces/${namespace}` }).then(
      () => false,
      (failure) => failure instanceof ApiFailure && failure.status === 404,
    );
    if (noNamespace) {
      throw new UserError({
        reason: "NamespaceNotFound",
        message: `there is no namespace "${namespace}"`,
        fix: "kubectl get namespaces, then give -n NAME",
        cause: error,
      });
    }
    throw new UserError({
      reason: "PodNotFound",
      message: `there is no pod "${name}" in namespace ${namespace}`,
      fix: `kubectl get pods -n ${namespace}`,
      cause: error,
    });
  }
}

/**
 * The container that is meant: the one named, else the pod's only one, else its default container.
 * Undefined where that leaves a choice. Throws NoSuchContainer (exit status 2).
 */
export function containerOf(pod: Pod, name: string | undefined): Container | undefined {
  if (name !== undefined) {
    const found = pod.containers.find((container) => container.name === name);
    if (found !== undefined) return found;
    const message = `pod/${pod.name} has no container ${name}`;
    throw new UserError({ reason: "NoSuchContainer", message, fix: `-c takes one of: ${containerNames(pod)}`, exitCode: 2 });
  }
  const regular = pod.containers.filter(({ kind }) => kind === "container");
  if (regular.length === 1) return regular[0];
  return regular.find((container) => container.name === pod.defaultContainer);
}

/** Throws ChoiceNeeded (exit status 2). */
export function choiceNeeded(pod: Pod): UserError {
  const message = `pod/${pod.name} has several containers: which one?`;
  return new UserError({ reason: "ChoiceNeeded", message, fix: `give -c with one of: ${containerNames(pod)}`, exitCode: 2 });
}

/** Throws where the container cannot be checkpointed now, with what can be done about it. */
export function ensureRunning({ pod, container }: ContainerTarget): void {
  if (pod.node === "") {
    throw new UserError({
      reason: "PodNotScheduled",
      message: `pod/${pod.name} is not on a node yet: nothing of it runs`,
      fix: `kubectl describe pod ${pod.name} -n ${pod.namespace}`,
    });
  }
  if (isRunning(container)) return;
  const running = pod.containers.filter(isRunning).map(({ name }) => name);
  throw new UserError({
    reason: "ContainerNotRunning",
    message: `container ${container.name} in pod/${pod.name} does not run: only running containers can be checkpointed`,
    why: whyNotRunning(pod, container),
    fix: running.length > 0 ? `running now: ${running.join(", ")} (give one with -c)` : `kubectl get pod ${pod.name} -n ${pod.namespace}`,
  });
}

function whyNotRunning(pod: Pod, { state, kind }: Container): string | undefined {
  if (state.phase === "running") return undefined;
  if (state.phase === "terminated") return `it has ended (${state.reason || "terminated"}, exit status ${state.exitCode})`;
  const init = pod.containers.find((one) => one.kind === "init" && isRunning(one));
  if (init !== undefined && kind === "container") return `the init container ${init.name} is still running`;
  const details = [state.reason, state.message].filter((text) => text !== "").join(": ");
  return details === "" ? "it is waiting to start" : `it is waiting to start (${details})`;
}

function containerNames(pod: Pod): string {
  return pod.containers.map(({ name, kind }) => (kind === "container" ? name : `${name} (${kind})`)).join(", ");
}
