import { apiPath, type Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import type { CheckpointTarget } from "./target.ts";

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
    const answer = await connection.call({ method: "POST", path, timeoutMs: TIMEOUT_MS, repeatable: true });
    const { explainAnswer } = await import("./answers.ts");
    const error = explainAnswer(answer, { node, ...TARGET });
    const identity = error.reason === "KubeletForbidden" ? /\(user=(.*?), verb=/.exec(answer.text)?.[1] : undefined;
    return { error: error.reason === "PodGone" ? undefined : error, identity };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { error, identity: undefined };
  }
}

/**
 * Whether the container is running at this moment, by the runtime's own list: the kubelet reads that before it refuses a timeout below 0,
 * which it does without calling the runtime (Kubernetes 1.25 to 1.37). The pod's status knows up to some seconds later. Undefined where
 * the answer says neither. Needs create nodes/proxy, as the checkpoint itself. Never throws.
 */
export async function runsNow(connection: Connection, target: CheckpointTarget, signal: AbortSignal): Promise<boolean | undefined> {
  const path = apiPath`/api/v1/nodes/${target.node}/proxy/checkpoint/${target.namespace}/${target.pod}/${target.container}`;
  const query = { timeout: "-1" };
  const request = { method: "POST", path, query, timeoutMs: TIMEOUT_MS, signal, repeatable: true } as const;
  const answer = await connection.call(request).catch(() => undefined);
  if (answer === undefined || answer.status === 200) return undefined;
  const { explainAnswer } = await import("./answers.ts");
  const { reason } = explainAnswer(answer, target);
  return reason === "TimeoutInvalid" ? true : /^(ContainerNotRunning|PodGone)$/.test(reason) ? false : undefined;
}
