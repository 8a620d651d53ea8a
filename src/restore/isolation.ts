import { RESTORED_LABEL, restoredId } from "./pod.ts";

/** Denies all traffic to and from one restored pod; gone with it once `ownedBy` was applied. */
export function denyAll(namespace: string, name: string): object {
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
