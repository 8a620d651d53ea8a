import { UserError } from "../model/error.ts";
import { list, object, string, type Json } from "../model/json.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";
import { RESTORED_LABEL, restoredId } from "./pod.ts";
import { powersOf } from "./powers.ts";
import { selects } from "./selectors.ts";

/** Denies all traffic to and from one restored pod; gone with it once `ownedBy` was applied. */
export function denyAll(namespace: string, name: string): Json {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace, labels: { [RESTORED_LABEL]: restoredId(namespace, name) } },
    spec: { podSelector: { matchLabels: { [RESTORED_LABEL]: restoredId(namespace, name) } }, policyTypes: ["Ingress", "Egress"] },
  };
}

/** A merge patch that lets the policy go with its pod. */
export function ownedBy(name: string, uid: string): object {
  return { metadata: { ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid }] } };
}

/** Throws NotIsolable where something leads out of the sandbox that the pod is to be. `who`: "the manifest's pod". */
export function ensureIsolable(pod: Json, who: Phrase): void {
  const ways = powersOf(pod).filter(({ escapes }) => escapes);
  if (ways.length === 0) return;
  throw new UserError({
    reason: "NotIsolable",
    message: say`${who} cannot be isolated; nothing was created`,
    why: joined(
      ways.map(({ what }) => what),
      "\n",
    ),
    fix: "restore it without --isolated, or without its record: where FILE.json is not beside FILE, empty volumes stand in for what was mounted",
  });
}

/** Names of policies that allow the pod some traffic: what one allows, no other denies. */
export function openings(policies: readonly Json[], pod: Json): string[] {
  const labels = object(object(pod["metadata"])["labels"]);
  return policies.flatMap((policy) => {
    const { podSelector, ingress, egress } = object(policy["spec"]);
    const allows = list(ingress).length > 0 || list(egress).length > 0;
    return allows && selects(podSelector ?? {}, labels) ? [string(object(policy["metadata"])["name"])] : [];
  });
}
