import type { Explanation } from "../model/error.ts";
import { list, number, object, string, type Json } from "../model/json.ts";
import { explainEnd, explainWaiting, type Told } from "./failures.ts";

/** How far a restored pod has come. */
export type Outcome =
  /** `what` is the runtime's or the kubelet's word for what it does, empty where there is none. */
  | { readonly kind: "waiting"; readonly what: string }
  | { readonly kind: "running"; readonly image: string; readonly startedAt: string; readonly containerID: string }
  | { readonly kind: "failed"; readonly explanation: Explanation };

/** Judges a pod by its status: only the container that is restored counts. */
export function outcomeOf(pod: Json, told: Told): Outcome {
  const status = object(pod["status"]);
  const { name } = object(pod["metadata"]);
  const phase = string(status["phase"]);
  const container = list(status["containerStatuses"])
    .map(object)
    .find((one) => string(one["name"]) === told.container);
  const state = object(container?.["state"]);
  if (state["running"] !== undefined && number(container?.["restartCount"]) === 0) {
    const { startedAt } = object(state["running"]);
    return {
      kind: "running",
      image: string(container?.["image"]),
      startedAt: string(startedAt),
      containerID: string(container?.["containerID"]),
    };
  }
  const ended = object(state["terminated"] ?? object(container?.["lastState"])["terminated"]);
  if (Object.keys(ended).length > 0) return { kind: "failed", explanation: explainEnd(ended, told) };
  const { reason, message } = object(state["waiting"]);
  const failure = explainWaiting(string(reason), string(message), told);
  if (failure !== undefined) return { kind: "failed", explanation: failure };
  if (phase === "Failed") {
    const why = [status["reason"], status["message"]].map(string).filter(Boolean).join(": ");
    return {
      kind: "failed",
      explanation: {
        reason: "PodRefused",
        message: `the kubelet of ${told.node || "the node"} does not run pod/${string(name)}`,
        why: why || undefined,
      },
    };
  }
  return { kind: "waiting", what: string(reason) };
}

/**
 * What proves that a running container was restored, not started anew: a runtime that restores says that it runs the checkpoint's
 * base image, and puts the old log back. Each is a proof by itself. Empty where there is neither: base image and checkpoint may
 * share a repository, and a container may have said nothing.
 */
export function evidenceOf(
  { image, startedAt }: Outcome & { kind: "running" },
  checkpointImage: string,
  oldestLogLine: string | undefined,
): string[] {
  const other = image !== "" && repositoryOf(image) !== repositoryOf(checkpointImage);
  const older = oldestLogLine !== undefined && Date.parse(oldestLogLine) < Date.parse(startedAt);
  return [
    ...(other ? [`the container runs ${image}, the checkpoint's base image, and not ${checkpointImage}, which the pod names`] : []),
    ...(older ? [`its log begins at ${oldestLogLine}, before the container was started at ${startedAt}`] : []),
  ];
}

/** Without tag and digest. */
function repositoryOf(image: string): string {
  return image.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
}
