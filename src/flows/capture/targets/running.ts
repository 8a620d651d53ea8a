import { isRunning, type Container, type Pod } from "../../../cluster/pods.ts";
import { UserError } from "../../../model/error.ts";
import type { ContainerTarget } from "./target.ts";

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
