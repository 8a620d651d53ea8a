import { condition } from "../../cluster/nodes.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
import { formatBytes, parseDuration } from "../../model/units.ts";
import type { NodeFacts } from "../facts/node.ts";
import { enough, fail, ok, skip, warn, type Check, type Verdict } from "../finding.ts";
import { atLeast, versionIn } from "../../model/runtime.ts";
import { command, say } from "../../model/phrase.ts";

/** A runtime's word for itself, and what it takes to restore; the flow knows the second. */
export interface JudgedNode extends NodeFacts {
  readonly runtime: string;
  readonly restores: { readonly restores: "yes" | "maybe" | "no"; readonly why?: string };
}

/** Less than this above the eviction threshold is soon used up. */
const LITTLE_ROOM = 1024 ** 3;
/** What the kubelet raises any shorter timeout to. */
const CRI_DEFAULT_MS = 120_000;
/** How many minor versions a kubelet may be behind its API server. */
const SKEW = 3;

const UNREACHABLE = /^(KubeletUnreachable|NodeNameUnresolvable|OutcomeUnknown|RequestTimedOut)$/;

export const NODE_CHECKS: readonly Check<JudgedNode>[] = [
  {
    name: "node",
    decides: ["checkpoint", "copy", "restore"],
    judge: ({ name, node }) => {
      if (node instanceof UserError)
        return node.reason === "NotFound"
          ? fail("there is no such node", "kubectl get nodes")
          : skip("it cannot be read (this needs get nodes)");
      if (!node.ready)
        return fail(
          say`not ready: ${node.notReadyBecause}`,
          command`kubectl describe node ${name}\non the node: systemctl status kubelet; journalctl -u kubelet -n 50`,
        );
      if (condition(node.object, "DiskPressure")["status"] === "True")
        return warn(
          "ready, but short of disk space: an archive might get pods evicted",
          command`kubectl checkpoint ls -A --node ${name}\nkubectl checkpoint prune -A --keep 1 --node ${name}`,
        );
      const taints = list(object(node.object["spec"])["taints"]).map(
        (taint) => `${string(object(taint)["key"])}:${string(object(taint)["effect"])}`,
      );
      return ok(taints.length === 0 ? "ready" : say`ready; the helper pod tolerates its taints (${taints.join(", ")})`);
    },
  },
  {
    name: "kubelet-version",
    decides: ["checkpoint"],
    judge: ({ node, serverVersion }) => {
      if (node instanceof UserError) return undefined;
      const version = infoOf(node, "kubeletVersion");
      const [kubelet, server] = [versionIn(version), versionIn(serverVersion)];
      if (kubelet === undefined) return skip("its version is unknown");
      if (!atLeast(kubelet, [1, 25])) return fail(say`${version} has no checkpoint API`, "the API came with 1.25: upgrade the node");
      const behind = (server?.[1] ?? 0) - (kubelet[1] ?? 0);
      if (server !== undefined && (behind < 0 || behind > SKEW))
        return warn(
          say`${version} with an API server ${serverVersion}: Kubernetes supports no kubelet that is newer, or more than ${SKEW} minor versions older`,
        );
      return ok(version);
    },
  },
  {
    name: "kubelet",
    decides: ["checkpoint", "copy", "restore"],
    judge: ({ name, probe: { error } }) => {
      if (error === undefined || !UNREACHABLE.test(error.reason)) return mayNotProbe(error) ?? ok("answers");
      const fix =
        error.reason === "KubeletUnreachable" || error.reason === "OutcomeUnknown"
          ? command`kubectl describe node ${name}\non the node: systemctl restart kubelet; journalctl -u kubelet -n 50`
          : error.said.fix;
      return fail(say`the API server cannot reach it: ${error.said.why ?? error.said.message}`, fix);
    },
  },
  {
    name: "api-server-right",
    decides: ["checkpoint"],
    judge: ({ probe: { error, identity }, granted }) => {
      if (error?.reason !== "KubeletForbidden") return notReached(error) ?? ok("the kubelet lets the API server's own user checkpoint");
      const message = say`the kubelet does not let the API server's own user ${identity ?? ""} create nodes/checkpoint (kubernetes#126232); your own permissions do not matter here`;
      if (granted === true)
        return fail(
          say`${message}: the user has the permission now, but the kubelet caches its refusal`,
          "rerun after 30 seconds: the kubelet caches it for that long",
        );
      return fail(message, error.said.fix);
    },
  },
  {
    name: "checkpoint-gate",
    decides: ["checkpoint"],
    judge: ({ probe: { error } }) => {
      if (error === undefined) return ok("the kubelet's feature gate ContainerCheckpoint is on");
      if (error.reason === "GateOff")
        return fail(
          "the kubelet's feature gate ContainerCheckpoint is off (the default before Kubernetes 1.30)",
          "in the kubelet's configuration on the node set featureGates: {ContainerCheckpoint: true}, then there: systemctl restart kubelet",
        );
      if (error.reason === "KubeletForbidden") return skip("the kubelet says so only to those who may checkpoint");
      return notReached(error) ?? warn(say`the kubelet gave an unknown answer: ${error.whole}`);
    },
  },
  {
    name: "runtime",
    decides: ["checkpoint"],
    judge: ({ node, runtime }) => {
      if (node instanceof UserError) return undefined;
      const version = versionIn(runtime);
      const [name] = runtime.split("://");
      if (version === undefined) return skip("its runtime is unknown");
      const needs = "containerd 2.0 or later, or CRI-O 1.25 or later";
      if (name === "containerd")
        return atLeast(version, [2, 0])
          ? ok(say`${runtime} checkpoints`)
          : fail(say`${runtime} does not checkpoint`, `upgrade it: checkpoints need ${needs}`);
      if (name !== "cri-o") return fail(say`${runtime} is not known to checkpoint`, `use ${needs}`);
      if (!atLeast(version, [1, 25])) return fail(say`${runtime} does not checkpoint`, `upgrade it: checkpoints need ${needs}`);
      return ok(
        atLeast(version, [1, 30])
          ? say`${runtime} checkpoints unless its configuration switches that off`
          : say`${runtime} checkpoints where its configuration has enable_criu_support = true under [crio.runtime] (off by default before 1.30)`,
      );
    },
  },
  {
    name: "restore-runtime",
    decides: ["restore"],
    judge: ({ node, runtime, restores }) => {
      if (node instanceof UserError) return undefined;
      if (restores.restores === "yes")
        return ok(say`${runtime} restores from images${runtime.startsWith("containerd") ? ", with runc" : ""}`);
      const why = restores.why ?? runtime;
      return restores.restores === "no"
        ? { ...warn(say`no restore from images here: ${why}`), denies: true }
        : warn(say`whether it restores depends on its configuration: ${why}`);
    },
  },
  {
    name: "runtime-request-timeout",
    decides: ["checkpoint"],
    judge: ({ runtimeRequestTimeout }) => {
      if (runtimeRequestTimeout === undefined)
        return skip("the kubelet's configuration was not read: it did not answer, or get nodes/proxy is missing (see rights-forecast)");
      const ms = milliseconds(runtimeRequestTimeout);
      const bound = say`every checkpoint is limited to ${runtimeRequestTimeout}`;
      return ms !== undefined && ms < CRI_DEFAULT_MS
        ? warn(bound, "in the kubelet's configuration on the node: runtimeRequestTimeout: 10m")
        : ok(bound);
    },
  },
  {
    name: "disk",
    decides: ["checkpoint"],
    judge: ({ name, roomBytes }) => {
      if (roomBytes === undefined)
        return skip("how much is free was not read: the kubelet did not answer, or get nodes/proxy is missing (see rights-forecast)");
      const message = `${formatBytes(roomBytes)} free above the eviction threshold`;
      return roomBytes < LITTLE_ROOM
        ? warn(message, command`kubectl checkpoint ls -A --node ${name}\nkubectl checkpoint prune -A --keep 1 --node ${name}`)
        : enough(message, roomBytes);
    },
  },
];

/** Of the node's own description of itself. */
export function infoOf(node: { readonly object: NodeObject }, field: string): string {
  return string(object(object(node.object["status"])["nodeInfo"])[field]);
}
type NodeObject = Readonly<Record<string, unknown>>;

function notReached(error: UserError | undefined): Verdict | undefined {
  if (error !== undefined && UNREACHABLE.test(error.reason)) return skip("the kubelet cannot be reached");
  return mayNotProbe(error);
}

function mayNotProbe(error: UserError | undefined): Verdict | undefined {
  return error?.reason === "Forbidden" || error?.reason === "Unauthorized" ? skip("asking it needs create nodes/proxy") : undefined;
}

/** Of a duration in Go's syntax. */
export function milliseconds(text: string): number | undefined {
  try {
    return parseDuration(text, "");
  } catch {
    return undefined;
  }
}
