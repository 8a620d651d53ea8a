import { list, object, string, type Json } from "../model/json.ts";
import { say, type Phrase } from "../model/phrase.ts";

/** Where a restored pod may go. */
export interface Placement {
  /** The one that was asked for. */
  readonly node: string | undefined;
  /** As Kubernetes calls it. */
  readonly architecture: string;
  /** Without a node: those that can restore it, where not all can. */
  readonly candidates: readonly string[] | undefined;
}

const HOSTNAME = "kubernetes.io/hostname";
const ARCHITECTURE = "kubernetes.io/arch";

/** The fields of the spec that say where it goes: the node itself, or a selector for one that can restore it. */
export function placement(spec: Json, { node, architecture, candidates }: Placement): { spec: Json; notes: Phrase[] } {
  const selector = object(spec["nodeSelector"]);
  const affinity = object(spec["affinity"]);
  if (node !== undefined) {
    // The kubelet itself would refuse a pod whose node does not match them.
    const { nodeAffinity, ...others } = affinity;
    const selects = Object.keys(selector).length > 0;
    const what = [...(selects ? ["nodeSelector"] : []), ...(nodeAffinity === undefined ? [] : ["node affinity"])];
    return {
      spec: { nodeName: node, ...(Object.keys(others).length === 0 ? {} : { affinity: others }) },
      notes: what.length === 0 ? [] : [say`its ${what.join(" and ")} is left out: ${node} was asked for`],
    };
  }
  const bound = string(selector[HOSTNAME]);
  return {
    spec: {
      nodeSelector: { ...selector, [ARCHITECTURE]: architecture },
      ...(candidates !== undefined
        ? { affinity: withCandidates(affinity, candidates) }
        : Object.keys(affinity).length === 0
          ? {}
          : { affinity }),
    },
    notes: bound === "" ? [] : [say`its nodeSelector binds it to the node ${bound}`],
  };
}

/** Terms are alternatives: each of them gets the condition. */
function withCandidates(affinity: Json, candidates: readonly string[]): Json {
  const nodeAffinity = object(affinity["nodeAffinity"]);
  const required = object(nodeAffinity["requiredDuringSchedulingIgnoredDuringExecution"]);
  const condition = { key: HOSTNAME, operator: "In", values: [...candidates] };
  const terms = list(required["nodeSelectorTerms"]).map(object);
  const conditioned = (terms.length === 0 ? [{}] : terms).map((term: Json) => ({
    ...term,
    matchExpressions: [...list(term["matchExpressions"]), condition],
  }));
  return {
    ...affinity,
    nodeAffinity: { ...nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: conditioned } },
  };
}
