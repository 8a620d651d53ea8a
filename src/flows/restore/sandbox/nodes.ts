import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { listAll } from "../../../cluster/lists.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { joined, say, type Phrase } from "../../../model/phrase.ts";
import { atLeast, parseRuntime } from "../../../model/runtime.ts";
import type { ProcessorFeature } from "../../../sandbox/processor.ts";
import type { FlowContext } from "../../context.ts";

export interface SandboxNodes {
  /** Undefined: all, or unknown. */
  readonly candidates: readonly string[] | undefined;
  /** Whether all of them mount images as volumes. */
  readonly imageVolumes: boolean;
  /** Why the processes may not run on any of them: what their processors do not have, by their labels. */
  readonly lacking: Phrase | undefined;
}

interface Judged {
  readonly name: string;
  readonly imageVolumes: boolean;
  readonly unfit: Phrase | undefined;
  readonly lacks: readonly ProcessorFeature[];
}

export interface Wanted {
  /** --node */
  readonly node: string | undefined;
  /** As Kubernetes calls it: "amd64". */
  readonly architecture: string;
  /** What the processor of the checkpoint had. */
  readonly features: readonly ProcessorFeature[];
}

/** From which version on: user namespaces for pods, images as volumes in such pods. CRI-O 1.36 has runc map their IDs, which it refuses. */
const RUNTIMES: Readonly<
  Record<string, { readonly userNamespaces: readonly number[]; readonly imageVolumes: readonly number[] | undefined }>
> = {
  containerd: { userNamespaces: [2, 0, 0], imageVolumes: [2, 1, 0] },
  "cri-o": { userNamespaces: [1, 25, 0], imageVolumes: undefined },
};
/** Image volumes are on by default from this kubelet on. */
const KUBELET = [1, 35];

/** Labels of Node Feature Discovery, where it runs. */
const CPUID = "feature.node.kubernetes.io/cpu-cpuid.";
const NAMED = 5;

/**
 * Nodes that can run a sandbox; of those, the ones with a processor that has what that of the checkpoint had, where any has. Throws a UserError
 * where no node can; where nodes may not be read, nothing is known.
 */
export async function sandboxNodes(context: FlowContext, wanted: Wanted): Promise<SandboxNodes> {
  const nodes = await read(context, wanted.node);
  return nodes === undefined ? { candidates: undefined, imageVolumes: true, lacking: undefined } : chosen(nodes, wanted);
}

/** Of nodes as the API server has them. */
export function chosen(nodes: readonly Json[], wanted: Wanted): SandboxNodes {
  const judged = nodes.map((node) => judge(node, wanted));
  const fit = judged.filter(({ unfit }) => unfit === undefined);
  if (fit.length === 0) {
    throw new UserError({
      reason: "NoNode",
      message:
        wanted.node === undefined
          ? say`no node can run the sandbox; nothing was created`
          : say`${wanted.node} cannot run the sandbox; nothing was created`,
      why: joined(
        judged.flatMap(({ unfit }) => unfit ?? []),
        "; ",
      ),
      fix: say`choose another node: --node NODE`,
    });
  }
  const capable = fit.filter(({ lacks }) => lacks.length === 0);
  const best = capable.length > 0 ? capable : fit;
  return {
    candidates: best.length === judged.length ? undefined : best.map(({ name }) => name),
    imageVolumes: best.every(({ imageVolumes }) => imageVolumes),
    lacking: capable.length > 0 ? undefined : lackingIn(fit),
  };
}

function lackingIn(nodes: readonly Judged[]): Phrase {
  const each = nodes.slice(0, NAMED).map(
    ({ name, lacks }) =>
      say`by its labels, the processor of ${name} does not have ${joined(
        lacks.map(({ flag }) => flag),
        ", ",
      )}`,
  );
  const more = nodes.length > NAMED ? say`; nor have those of ${nodes.length - NAMED} other nodes` : say``;
  return say`${joined(each, "; ")}${more}. That of the checkpoint had it: a process that uses it ends with SIGILL`;
}

async function read({ connection }: FlowContext, wanted: string | undefined): Promise<Json[] | undefined> {
  try {
    if (wanted !== undefined) return [object(await callJson(connection, { path: apiPath`/api/v1/nodes/${wanted}` }))];
    return [...(await listAll(connection, { path: "/api/v1/nodes" })).items];
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 403) return undefined;
    if (error instanceof ApiFailure && error.status === 404)
      throw new UserError({
        reason: "NodeNotFound",
        message: say`node "${wanted ?? ""}" not found`,
        fix: "kubectl get nodes",
        exitCode: 2,
      });
    throw error;
  }
}

function judge(node: Json, { architecture, features }: Wanted): Judged {
  const { name: called, labels } = object(node["metadata"]);
  const name = string(called);
  const status = object(node["status"]);
  const info = object(status["nodeInfo"]);
  const runtime = parseRuntime(string(info["containerRuntimeVersion"]));
  const known = RUNTIMES[runtime?.name ?? ""];
  const ready = list(status["conditions"])
    .map(object)
    .some(({ type, status: value }) => type === "Ready" && value === "True");
  const kubelet = string(info["kubeletVersion"])
    .replace(/^v/, "")
    .split(".")
    .map((part) => Number.parseInt(part, 10));
  const why = (): Phrase | undefined => {
    if (!ready) return say`${name} is not ready`;
    if (string(info["architecture"]) !== architecture)
      return say`${name} is ${string(info["architecture"])}, the checkpoint is of ${architecture}`;
    if (runtime !== undefined && known !== undefined && !atLeast(runtime.version, known.userNamespaces))
      return say`${name} runs ${runtime.name} ${runtime.version.join(".")}, which has no user namespaces for pods: a sandbox is not made without`;
    return undefined;
  };
  const volumes =
    runtime !== undefined && known?.imageVolumes !== undefined && atLeast(runtime.version, known.imageVolumes) && atLeast(kubelet, KUBELET);
  return { name, imageVolumes: volumes, unfit: why(), lacks: lacking(object(labels), features) };
}

/** Of a node without such labels nothing is known. */
function lacking(labels: Json, features: readonly ProcessorFeature[]): ProcessorFeature[] {
  if (!Object.keys(labels).some((label) => label.startsWith(CPUID))) return [];
  return features.filter(({ label }) => labels[`${CPUID}${label}`] !== "true");
}
