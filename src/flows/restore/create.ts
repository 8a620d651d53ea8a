import { ApiFailure } from "../../cluster/answer.ts";
import { callJson } from "../../cluster/api.ts";
import type { Right } from "../../cluster/access.ts";
import { apiPath } from "../../cluster/connection.ts";
import { UserError } from "../../model/error.ts";
import { object, string } from "../../model/json.ts";
import { say } from "../../model/phrase.ts";
import { ownedBy } from "../../restore/isolation.ts";
import type { FlowContext } from "../context.ts";
import type { RestorePlan } from "./plan.ts";

const POLICIES = { group: "networking.k8s.io", resource: "networkpolicies" };

/** What restoring needs. */
export function restoreRights(namespace: string, isolated: boolean): Right[] {
  return [
    ...["create", "get"].map((verb) => ({ verb, group: "", resource: "pods", namespace })),
    ...(isolated ? ["create", "delete", "patch"].map((verb) => ({ verb, ...POLICIES, namespace })) : []),
  ];
}

/** Makes the pod, and before it the policy that keeps it from the network. `dryRun`: asks the API server, and makes nothing. */
export async function createRestored(context: FlowContext, plan: RestorePlan, dryRun = false): Promise<object[]> {
  const { connection, emit } = context;
  const { namespace, name, policy, pod } = plan;
  const policies = apiPath`/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
  const create = async (path: string, body: object): Promise<object> =>
    object(await callJson(connection, { method: "POST", path, query: dryRun ? { dryRun: "All" } : {}, body }));
  const made: object[] = [];
  try {
    if (policy !== undefined) made.push(await create(policies, policy));
    const createdPod = await create(apiPath`/api/v1/namespaces/${namespace}/pods`, pod);
    if (policy !== undefined && !dryRun) {
      const uid = string(object(object(createdPod)["metadata"])["uid"]);
      const patch = {
        method: "PATCH",
        path: `${policies}/${name}`,
        body: ownedBy(name, uid),
        contentType: "application/merge-patch+json",
        repeatable: true,
      } as const;
      await callJson(connection, patch).catch(() => {
        emit({
          kind: "warning",
          text: say`networkpolicy/${name} stays when its pod goes: kubectl delete networkpolicy ${name} -n ${namespace}`,
        });
      });
    }
    return [...made, createdPod];
  } catch (error) {
    if (made.length > 0 && !dryRun)
      await connection
        .call({ method: "DELETE", path: `${policies}/${name}`, evenAfterAbort: true, repeatable: true })
        .catch(() => undefined);
    throw explained(error, plan);
  }
}

/** Ends a pod, also after an interruption. Answers whether it is sure to go. */
export async function deletePod(
  { connection }: FlowContext,
  namespace: string,
  name: string,
  graceSeconds: number,
  uid?: string,
): Promise<void> {
  const path = apiPath`/api/v1/namespaces/${namespace}/pods/${name}`;
  const body = {
    kind: "DeleteOptions",
    apiVersion: "v1",
    gracePeriodSeconds: graceSeconds,
    ...(uid === undefined ? {} : { preconditions: { uid } }),
  };
  try {
    await callJson(connection, { method: "DELETE", path, body, evenAfterAbort: true, timeoutMs: 10_000, repeatable: true });
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 404)) throw error;
  }
}

function explained(error: unknown, { namespace, name }: RestorePlan): unknown {
  if (!(error instanceof ApiFailure)) return error;
  if (error.status === 409) {
    return new UserError({
      reason: "AlreadyExists",
      message: `pod/${name} is in namespace ${namespace} already`,
      fix: `give another name: --name NAME`,
      cause: error,
    });
  }
  if (error.status === 422 || error.status === 400) {
    return new UserError({
      reason: "PodInvalid",
      message: "the API server does not take the pod",
      why: error.why ?? error.message,
      fix: "edit its manifest: kubectl checkpoint restore … --dry-run=client -o yaml, then kubectl create -f",
      cause: error,
    });
  }
  if (error.status === 404) {
    return new UserError({
      reason: "NamespaceNotFound",
      message: `there is no namespace "${namespace}"`,
      fix: "kubectl get namespaces, then give -n NAME",
      cause: error,
    });
  }
  if (error.status === 403 && /violates PodSecurity|exceeded quota|admission webhook|denied the request/.test(error.message)) {
    return new UserError({
      reason: "PodRefused",
      message: `the pod is not admitted in namespace ${namespace}`,
      why: error.message,
      fix: "restore into another namespace: -n NAME",
      cause: error,
    });
  }
  return error;
}
