import { statusMessage } from "../cluster/answer.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import { helperPod, type HelperRequest } from "./manifest.ts";
import { command, say, type Phrase } from "../model/phrase.ts";

/**
 * Asks the API server whether it would take the helper pod, without making it: PodSecurity, quotas and webhooks refuse a
 * Job's pod only afterwards, out of sight. Throws a UserError that says who refuses, and what to do.
 * A user who may make Jobs but no pods cannot ask: then nothing is known beforehand, and the answer is false.
 */
export async function ensureAdmitted(connection: Connection, request: HelperRequest): Promise<boolean> {
  const { namespace } = request;
  const path = apiPath`/api/v1/namespaces/${namespace}/pods`;
  const answer = await connection.call({ method: "POST", path, query: { dryRun: "All" }, body: helperPod(request), repeatable: true });
  if (answer.status < 300) return true;
  const said = statusMessage(answer) ?? answer.text.slice(0, 500);
  if (/cannot create resource "pods"/.test(said)) return false;
  throw refusal(said, request);
}

interface Refusal {
  readonly said: RegExp;
  readonly reason: string;
  readonly why: string;
  readonly fix: (request: HelperRequest) => Phrase;
}

/** Where helper pods go once it is there. */
export const OWN_NAMESPACE = "kubectl-checkpoint";
const PRIVILEGED = command`kubectl label namespace ${OWN_NAMESPACE} pod-security.kubernetes.io/enforce=privileged`;
const CREATE = command`kubectl create namespace ${OWN_NAMESPACE}`;
const OTHER_NAMESPACE = say`or use another namespace: --helper-namespace NAME`;

const REFUSALS: readonly Refusal[] = [
  {
    said: /violates PodSecurity/,
    reason: "HelperPodSecurity",
    why: "the namespace's PodSecurity level does not allow privileged pods",
    fix: ({ namespace }) =>
      namespace === OWN_NAMESPACE
        ? say`as a cluster admin, once:\n${PRIVILEGED} --overwrite\n${OTHER_NAMESPACE}`
        : say`as a cluster admin, create a namespace for helper pods (it is used automatically):\n${CREATE}\n${PRIVILEGED}\n${OTHER_NAMESPACE} (refused in ${namespace})`,
  },
  {
    said: /exceeded quota|failed quota/,
    reason: "HelperQuota",
    why: "the namespace's quota has no room for it",
    fix: ({ namespace }) => command`kubectl describe quota -n ${namespace}\n${OTHER_NAMESPACE}`,
  },
  {
    said: /(minimum|maximum) (cpu|memory)|LimitRange/i,
    reason: "HelperLimitRange",
    why: "the namespace's LimitRange does not allow its resources",
    fix: ({ namespace }) => command`kubectl describe limitrange -n ${namespace}\n${OTHER_NAMESPACE}`,
  },
  {
    said: /namespaces? "?[^"]*"? not found/,
    reason: "HelperNamespaceNotFound",
    why: "the namespace does not exist",
    fix: ({ namespace }) => command`kubectl create namespace ${namespace}\n${OTHER_NAMESPACE}`,
  },
  {
    said: /admission webhook|ValidatingAdmissionPolicy|denied the request/i,
    reason: "HelperWebhook",
    why: "a policy of the cluster refuses it",
    fix: () => say`ask the owner of the policy for an exception for the helper pod\n${OTHER_NAMESPACE}`,
  },
];

/** Why the helper pod was refused, in the words of whoever did. */
export function refusal(said: string, request: HelperRequest): UserError {
  const known = REFUSALS.find((one) => one.said.test(said));
  const message = say`the helper pod was refused in namespace ${request.namespace}`;
  if (known === undefined)
    return new UserError({ reason: "HelperRefused", message, why: said, fix: "use another namespace: --helper-namespace NAME" });
  return new UserError({ reason: known.reason, message, why: say`${known.why}: ${said}`, fix: known.fix(request) });
}
