import type { Explanation } from "../model/error.ts";
import { list, number, object, string, type Json } from "../model/json.ts";
import { say } from "../model/phrase.ts";
import { explainEnd, explainWaiting, type Attempt } from "./failures.ts";

/** How far a restored pod has come. */
export type Outcome =
  /** `what` is the runtime's or the kubelet's word for it, empty where there is none; `because` is why it still waits, where that may pass. */
  | { readonly kind: "waiting"; readonly what: string; readonly because?: Explanation }
  | { readonly kind: "running"; readonly image: string; readonly startedAt: string; readonly containerID: string }
  /** `ran`: the processes were restored, and have ended. `said` is the runtime's answer, whole. */
  | { readonly kind: "failed"; readonly explanation: Explanation; readonly ran: boolean; readonly said: string };

/** Judges a pod by its status: only the container that is restored counts. */
export function outcomeOf(pod: Json, attempt: Attempt): Outcome {
  const status = object(pod["status"]);
  const container = list(status["containerStatuses"])
    .map(object)
    .find((one) => string(one["name"]) === attempt.container);
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
  if (Object.keys(ended).length > 0) return { kind: "failed", ...explainEnd(ended, attempt), said: string(ended["message"]) };
  const { reason, message } = object(state["waiting"]);
  const obstacle = explainWaiting(string(reason), string(message), attempt);
  if (obstacle?.permanent === true) return { kind: "failed", ran: false, ...obstacle };
  if (status["phase"] === "Failed") {
    const why = [status["reason"], status["message"]].map(string).filter(Boolean).join(": ");
    const refused = {
      reason: "PodRefused",
      message: say`the kubelet of ${attempt.node || "the node"} refused pod/${attempt.pod}`,
      why: why || undefined,
    };
    return { kind: "failed", ran: false, said: why, explanation: refused };
  }
  return { kind: "waiting", what: string(reason), ...(obstacle === undefined ? {} : { because: obstacle.explanation }) };
}

/**
 * What proves that a running container was restored, not started from the beginning: a runtime that restores says that it runs the checkpoint's
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
