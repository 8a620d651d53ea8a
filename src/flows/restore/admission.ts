import { ApiFailure } from "../../cluster/answer.ts";
import { apiPath } from "../../cluster/connection.ts";
import { listAll } from "../../cluster/lists.ts";
import { UserError } from "../../model/error.ts";
import type { Json } from "../../model/json.ts";
import { joined, say } from "../../model/phrase.ts";
import { ensureIsolable, openings } from "../../restore/isolation.ts";
import type { FlowContext } from "../context.ts";
import { dryRun } from "./create.ts";
import type { RestorePlan } from "./plan.ts";

/**
 * Whether the cluster would take the plan, and an isolated pod would be isolated there: asked by dry runs, nothing is created. Answers with the
 * objects as the cluster would have them; the plan's own where a webhook cannot be asked, which is a warning. Throws a UserError.
 */
export async function ensureAccepted(context: FlowContext, plan: RestorePlan): Promise<Json[]> {
  if (plan.policy !== undefined) await ensureNothingAllowed(context, plan);
  const objects = await dryRun(context, plan).catch((error: unknown) => {
    const words = error instanceof UserError ? `${error.message} ${error.why ?? ""}` : "";
    if (!/does not support dry ?run/i.test(words)) throw error;
    const text = say`whether the cluster accepts pod/${plan.name} is unknown: a webhook does not support dry runs`;
    context.emit({ kind: "warning", text });
    return [...(plan.policy === undefined ? [] : [plan.policy]), plan.pod];
  });
  const pod = objects.at(-1);
  // What webhooks add counts too.
  if (plan.policy !== undefined && pod !== undefined) ensureIsolable(pod, say`pod/${plan.name}, as the cluster would create it,`);
  return objects;
}

/** Policies add up: one that allows traffic of the pod is a way out, whatever another one denies. */
async function ensureNothingAllowed({ connection, emit }: FlowContext, { namespace, name, pod }: RestorePlan): Promise<void> {
  const path = apiPath`/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
  const found = await listAll(connection, { path }).catch((error: unknown) => {
    if (!(error instanceof ApiFailure)) throw error;
    emit({
      kind: "warning",
      text: say`whether another policy in namespace ${namespace} allows traffic of the pod is unknown: ${error.whole}`,
    });
    return { items: [] };
  });
  const opening = openings(found.items, pod);
  if (opening.length === 0) return;
  throw new UserError({
    reason: "NotIsolable",
    message: say`pod/${name} cannot be isolated in namespace ${namespace}; nothing was created`,
    why: say`these network policies of the namespace allow traffic to or from the pod: ${joined(opening, ", ")}`,
    fix: say`restore it into a namespace without such policies: -n NAME`,
  });
}
