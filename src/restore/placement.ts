import { list, object, string, type Json } from "../model/json.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";
import { selects, withoutLabelKeys } from "./selectors.ts";

/** Where a restored pod may go. */
export interface Placement {
  /** The one that was asked for. */
  readonly node: string | undefined;
  /** As Kubernetes calls it. */
  readonly architecture: string;
  /** Without a node: which can restore it and which cannot, where not all can. */
  readonly candidates: Candidates | undefined;
  /** Bound to the node by its name, whatever the scheduler would say. */
  readonly bypassScheduler: boolean;
}

export interface Candidates {
  readonly fit: readonly string[];
  readonly unfit: readonly string[];
}

const HOSTNAME = "kubernetes.io/hostname";
const ARCHITECTURE = "kubernetes.io/arch";
const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution";

/** What of the original matters for the place of a copy. */
export interface Placed {
  readonly spec: Json;
  readonly labels: Json;
  /** Whether the copy has the labels from the start. */
  readonly keepsLabels: boolean;
}

/**
 * The fields of the spec that say where it goes. A node that was asked for is named as DaemonSets name theirs, by an affinity that the
 * scheduler obeys: it still sees to volumes, resources and taints. A node's name need not be its host name.
 */
export function placement({ spec, labels, keepsLabels }: Placed, request: Placement): { spec: Json; notes: Phrase[] } {
  const { node, architecture, candidates, bypassScheduler } = request;
  const selector = object(spec["nodeSelector"]);
  const pods = podAffinity(object(spec["affinity"]), labels, keepsLabels);
  const nodeAffinity = withoutNames(object(object(spec["affinity"])["nodeAffinity"]));
  const spread = list(spec["topologySpreadConstraints"]).map((constraint) => withoutLabelKeys(object(constraint), labels));
  const shared = spread.length === 0 ? {} : { topologySpreadConstraints: spread };
  if (node !== undefined) {
    const what = [
      ...(Object.keys(selector).length > 0 ? ["node selector"] : []),
      ...(Object.keys(nodeAffinity).length > 0 ? ["node affinity"] : []),
    ];
    const named = { nodeAffinity: { [REQUIRED]: { nodeSelectorTerms: [{ matchFields: [isNode("In", node)] }] } } };
    return {
      spec: {
        ...shared,
        ...(bypassScheduler ? { nodeName: node } : {}),
        ...withAffinity({ ...pods.affinity, ...(bypassScheduler ? {} : named) }),
      },
      notes: [...pods.notes, ...(what.length === 0 ? [] : [say`its ${joined(what, " and ")} is not kept: ${node} was asked for`])],
    };
  }
  const bound = string(selector[HOSTNAME]);
  const limited = candidates === undefined ? nodeAffinity : limitedTo(nodeAffinity, candidates);
  return {
    spec: {
      ...shared,
      nodeSelector: { ...selector, [ARCHITECTURE]: architecture },
      ...withAffinity({ ...pods.affinity, ...(Object.keys(limited).length === 0 ? {} : { nodeAffinity: limited }) }),
    },
    notes: [...pods.notes, ...(bound === "" ? [] : [say`its node selector binds it to the node ${bound}`])],
  };
}

function withAffinity(affinity: Json): Json {
  return Object.keys(affinity).length === 0 ? {} : { affinity };
}

/** Of a node's fields this is the only one that can be selected by, one value at a time. */
function isNode(operator: "In" | "NotIn", node: string): Json {
  return { key: "metadata.name", operator, values: [node] };
}

/** By its name, a node was chosen for the original itself: as DaemonSets do, and as it is done here. */
function withoutNames(nodeAffinity: Json): Json {
  const terms = list(object(nodeAffinity[REQUIRED])["nodeSelectorTerms"])
    .map(object)
    .flatMap((term) => {
      const others = without(term, "matchFields");
      return Object.keys(others).length === 0 ? [] : [others];
    });
  const preferred = without(nodeAffinity, REQUIRED);
  return terms.length === 0 ? preferred : { ...preferred, [REQUIRED]: { nodeSelectorTerms: terms } };
}

function without(value: Json, field: string): Json {
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== field));
}

/** Terms are alternatives, what is in one must all be met. The shorter list is written. */
function limitedTo(nodeAffinity: Json, { fit, unfit }: Candidates): Json {
  const required = object(nodeAffinity[REQUIRED]);
  // A term without a condition selects no node.
  const terms = list(required["nodeSelectorTerms"])
    .map(object)
    .filter((term) => list(term["matchExpressions"]).length + list(term["matchFields"]).length > 0);
  const alternatives = fit.length <= unfit.length ? fit.map((node) => [isNode("In", node)]) : [unfit.map((node) => isNode("NotIn", node))];
  const limited = (terms.length === 0 ? [{} as Json] : terms).flatMap((term) =>
    alternatives.map((fields) => ({ ...term, matchFields: [...list(term["matchFields"]), ...fields] })),
  );
  return { ...nodeAffinity, [REQUIRED]: { nodeSelectorTerms: limited } };
}

/**
 * Terms about other pods. Some are met or not met by the original itself, which runs while the copy is placed, or by the pod's own
 * labels, which the copy lacks: those are left out.
 */
function podAffinity(affinity: Json, labels: Json, keepsLabels: boolean): { affinity: Json; notes: Phrase[] } {
  const notes: Phrase[] = [];
  const kept = (["podAffinity", "podAntiAffinity"] as const).flatMap((kind) => {
    const both = object(affinity[kind]);
    const required = list(both[REQUIRED]).map(object);
    const preferred = list(both[PREFERRED]).map(object);
    const fair = required.filter((term) => keepsLabels || !isOfItself(kind, term, labels));
    if (fair.length < required.length) {
      const what = kind === "podAffinity" ? "pod affinity" : "pod anti-affinity";
      notes.push(say`its ${what} is not kept where it selects the original itself, which runs while the copy is scheduled`);
    }
    const now = {
      ...(fair.length === 0 ? {} : { [REQUIRED]: fair.map((term) => withoutLabelKeys(term, labels)) }),
      ...(preferred.length === 0
        ? {}
        : { [PREFERRED]: preferred.map((one) => ({ ...one, podAffinityTerm: withoutLabelKeys(object(one["podAffinityTerm"]), labels) })) }),
    };
    return Object.keys(now).length === 0 ? [] : [[kind, now] as const];
  });
  return { affinity: Object.fromEntries(kept), notes };
}

/** Host by host, an anti-affinity is not about the original: that is on another host. */
function isOfItself(kind: "podAffinity" | "podAntiAffinity", term: Json, labels: Json): boolean {
  if (kind === "podAntiAffinity" && term["topologyKey"] === HOSTNAME) return false;
  return selects(term["labelSelector"], labels);
}
