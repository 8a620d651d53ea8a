import { kindOf, type Right } from "../../cluster/access.ts";
import { grantCommands } from "../../cluster/grants.ts";
import { isPortForward } from "../../helper/rights.ts";
import { UserError } from "../../model/error.ts";
import type { ClusterFacts } from "../facts/cluster.ts";
import { fail, ok, skip, warn, type Check, type Verdict } from "../finding.ts";
import { atLeast, versionIn } from "../../model/runtime.ts";
import { say, type Phrase, type Text } from "../../model/phrase.ts";

/** The first with the kubelet's checkpoint API. */
const FIRST_VERSION = [1, 25];

export const CLUSTER_CHECKS: readonly Check<ClusterFacts>[] = [
  {
    name: "api-server",
    decides: ["checkpoint", "copy", "restore"],
    judge: ({ server, version }) => {
      if (version instanceof UserError) return fail(version.whole, version.said.fix);
      const parsed = versionIn(version);
      if (parsed !== undefined && !atLeast(parsed, FIRST_VERSION))
        return fail(say`Kubernetes ${version} has no checkpoint API`, "the API came with 1.25: upgrade the cluster");
      return ok(say`Kubernetes ${version} at ${server}`);
    },
  },
  rightsCheck("rights-checkpoint", ["checkpoint"], ({ needed }) => needed.checkpoint, fail),
  rightsCheck("rights-copy", ["copy"], ({ needed }) => needed.copy, badForCopies),
  rightsCheck("rights-restore", ["restore"], ({ needed }) => needed.restore, warn),
  rightsCheck("rights-forecast", [], ({ needed }) => needed.forecast, warn, "sizes and versions are then unknown"),
  {
    name: "helper-pod",
    decides: ["copy"],
    judge: ({ version, admission, helperNamespace }) => {
      if (version instanceof UserError) return skip("the API server does not answer");
      if (admission === "admitted") return ok(say`would be admitted in namespace ${helperNamespace}`);
      if (admission === "no node") return skip("not asked: no node is known that it would be for");
      if (admission === "forbidden")
        return skip(say`whether namespace ${helperNamespace} admits it cannot be asked (this needs create pods)`);
      return fail(admission.whole, admission.said.fix);
    },
  },
];

/** exec does in place of port-forward. */
function badForCopies(message: Phrase, fix: Text, { needed, missing }: ClusterFacts): Verdict {
  const byExec = needed.exec.every((right) => !missing.has(right));
  const onlyPortForward = needed.copy.every((right) => !missing.has(right) || isPortForward(right));
  return byExec && onlyPortForward ? { ...warn(say`${message}: copies use exec, which is slower`, fix), decides: [] } : fail(message, fix);
}

/** Each of the rights was asked about by itself. */
function rightsCheck(
  name: string,
  decides: Check<ClusterFacts>["decides"],
  of: (facts: ClusterFacts) => readonly Right[],
  bad: (message: Phrase, fix: Text, facts: ClusterFacts) => Verdict,
  note?: string,
): Check<ClusterFacts> {
  return {
    name,
    decides,
    judge: (facts) => {
      const { version, who, unasked, missing } = facts;
      if (version instanceof UserError || who === undefined) return skip("the API server does not answer");
      if (unasked) return skip(say`what ${who.kind} "${who.name}" may do cannot be asked (this needs create subjectaccessreviews)`);
      const lacking = of(facts).filter((right) => missing.has(right));
      if (lacking.length === 0) return ok(say`${who.kind} "${who.name}" may ${described(of(facts))}`);
      const message = say`${who.kind} "${who.name}" may not ${described(lacking)}`;
      return bad(
        note === undefined ? message : say`${message}: ${note}`,
        say`a cluster admin runs once:\n${grantCommands(lacking, who)}`,
        facts,
      );
    },
  };
}

/** `get/list pods in namespace web; create nodes/proxy`. */
function described(rights: readonly Right[]): string {
  const kinds = Map.groupBy(rights, (right) => [right.namespace, kindOf(right)].join(" "));
  const places = Map.groupBy(kinds.values(), ([right]) => right?.namespace);
  return [...places]
    .map(([namespace, groups]) => {
      const what = groups
        .map((group) => `${group.map(({ verb }) => verb).join("/")} ${group[0] === undefined ? "" : kindOf(group[0])}`)
        .join(", ");
      return namespace === undefined ? what : `${what} in namespace ${namespace}`;
    })
    .join("; ");
}
