import { UserError } from "../model/error.ts";
import { command, say, type Text } from "../model/phrase.ts";

/** One container on one node. */
export interface CheckpointTarget {
  readonly node: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** The call was sent and no answer came: the archive may be there or not. */
export function outcomeUnknown({ node, pod, container, namespace }: CheckpointTarget, why: Text, cause?: unknown): UserError {
  return new UserError({
    reason: "OutcomeUnknown",
    message: say`the connection was lost while container ${container} in pod/${pod} was being checkpointed: the archive may be on ${node} or not`,
    why,
    fix: command`look for it before you try again: kubectl checkpoint ls ${pod} --node ${node} -n ${namespace}`,
    cause,
  });
}
