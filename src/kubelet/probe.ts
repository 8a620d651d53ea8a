import { apiPath, type Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import { explainAnswer } from "./answers.ts";

/** What a kubelet answers to a checkpoint call that can do nothing. */
export interface Probe {
  /** Undefined: it would checkpoint, if there were such a pod. */
  readonly error: UserError | undefined;
  /** The API server's own user, where the kubelet refuses it. */
  readonly identity: string | undefined;
}

/** Nobody's pod: "_" is in no name. */
const TARGET = { namespace: "kubectl-checkpoint", pod: "no_such_pod", container: "probe" };
const TIMEOUT_MS = 10_000;

/**
 * Asks the kubelet to checkpoint a pod that cannot exist: it looks at rights and gate first, at the pod then. Needs create
 * nodes/proxy. Never throws a UserError.
 */
export async function probeKubelet(connection: Connection, node: string): Promise<Probe> {
  const path = apiPath`/api/v1/nodes/${node}/proxy/checkpoint/${TARGET.namespace}/${TARGET.pod}/${TARGET.container}`;
  try {
    const answer = await connection.call({ method: "POST", path, timeoutMs: TIMEOUT_MS });
    const error = explainAnswer(answer, { node, ...TARGET });
    const identity = error.reason === "KubeletForbidden" ? /\(user=(.*?), verb=/.exec(answer.text)?.[1] : undefined;
    return { error: error.reason === "PodGone" ? undefined : error, identity };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { error, identity: undefined };
  }
}
