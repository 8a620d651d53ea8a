import type { Right } from "../cluster/access.ts";
import { execRights, helperRights } from "../helper/rights.ts";

/** What is asked about one by one, by what it is needed for. */
export interface NeededRights {
  readonly checkpoint: readonly Right[];
  readonly copy: readonly Right[];
  /** What does for copies in place of port-forward. */
  readonly exec: readonly Right[];
  readonly restore: readonly Right[];
  /** Without these, forecasts and versions are left out. */
  readonly forecast: readonly Right[];
}

/** The API server's own, which kubeadm's clusters lack. */
export const KUBELET_RIGHT: Right = { verb: "create", group: "", resource: "nodes", subresource: "checkpoint" };

export function neededRights(namespace: string, helperNamespace: string): NeededRights {
  const pods = (verb: string): Right => ({ verb, group: "", resource: "pods", namespace });
  const nodes = (verb: string, subresource?: string): Right => {
    return { verb, group: "", resource: "nodes", ...(subresource === undefined ? {} : { subresource }) };
  };
  return {
    checkpoint: [pods("get"), pods("list"), nodes("create", "proxy")],
    copy: helperRights(helperNamespace),
    exec: execRights(helperNamespace),
    restore: [pods("create"), pods("get"), pods("delete")],
    forecast: [nodes("get"), nodes("list"), nodes("get", "proxy")],
  };
}
