import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { getPod, type Pod } from "../../../cluster/pods.ts";
import { UserError } from "../../../model/error.ts";
import { command, say } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";

/** The pod. Where there is none, the error says whether its namespace is missing too. */
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
        message: say`namespace "${namespace}" not found`,
        fix: "kubectl get namespaces, then give -n NAME",
        cause: error,
      });
    }
    throw new UserError({
      reason: "PodNotFound",
      message: say`pod/${name} not found in namespace ${namespace}`,
      fix: command`kubectl get pods -n ${namespace}`,
      cause: error,
    });
  }
}
