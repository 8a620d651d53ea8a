import { UserError, type Explanation } from "../model/error.ts";
import { command, say, type Text } from "../model/phrase.ts";

/** One container on one node. */
export interface CheckpointTarget {
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** What makes the words of an answer true for the node and pod at hand; each is left out where it is not known. */
export interface About {
  /** Of the pod's status: "containerd://…". */
  readonly containerID?: string;
  /** Of the node's status: "containerd://2.1.9". */
  readonly runtime?: string;
  /** The pod's runtimeClassName. */
  readonly runtimeClass?: string;
}

/** CRIU gave up. The cause is in its log on the node: `logs` are the paths that the error names for it, the likeliest first. */
export class CriuFailure extends UserError {
  readonly logs: readonly string[];

  constructor(logs: readonly string[], what: Explanation) {
    super(what);
    this.logs = logs;
  }
}

/** The call was sent and no answer came: the archive may be there or not. */
export function outcomeUnknown({ node, pod, container, namespace }: CheckpointTarget, why: Text, cause?: unknown): UserError {
  return new UserError({
    reason: "OutcomeUnknown",
    message: say`the connection was lost during the checkpoint of container ${container} in pod/${pod}: the archive may or may not be on ${node}`,
    why,
    fix: command`look for it before you try again: kubectl checkpoint ls ${pod} --node ${node} -n ${namespace}`,
    cause,
  });
}
