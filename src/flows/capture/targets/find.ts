import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { getPod, type Pod } from "../../../cluster/pods.ts";
import { UserError } from "../../../model/error.ts";
import type { FlowContext } from "../../context.ts";

/** The pod. Where there is none, the error tells whether its namespace is missing too. */
export async function findPod({ connection }: FlowContext, name: string, namespace = connection.namespace): Promise<Pod> {
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
