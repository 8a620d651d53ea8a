import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { listAll } from "../../../cluster/lists.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { joined, say, type Phrase } from "../../../model/phrase.ts";
import { atLeast, parseRuntime } from "../../../model/runtime.ts";
import type { FlowContext } from "../../context.ts";

export interface SandboxNodes {
  /** Undefined: all, or unknown. */
  readonly candidates: readonly string[] | undefined;
  /** Whether all of them mount images as volumes. */
  readonly imageVolumes: boolean;
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

/** Nodes that can run a sandbox. Throws a UserError where none can; where nodes may not be read, nothing is known. */
export async function sandboxNodes(context: FlowContext, wanted: string | undefined, architecture: string): Promise<SandboxNodes> {
  const nodes = await read(context, wanted);
  if (nodes === undefined) return { candidates: undefined, imageVolumes: true };
  const judged = nodes.map((node) => judge(node, architecture));
  const fit = judged.filter(({ unfit }) => unfit === undefined);
  if (fit.length === 0) {
    throw new UserError({
      reason: "NoNode",
      message:
        wanted === undefined
          ? say`no node can run the sandbox; nothing was created`
          : say`${wanted} cannot run the sandbox; nothing was created`,
      why: joined(
        judged.flatMap(({ unfit }) => unfit ?? []),
        "; ",
      ),
      fix: say`choose another node: --node NODE`,
    });
  }
  return {
    candidates: fit.length === judged.length ? undefined : fit.map(({ name }) => name),
    imageVolumes: fit.every(({ imageVolumes }) => imageVolumes),
  };
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

function judge(
  node: Json,
  architecture: string,
): { readonly name: string; readonly imageVolumes: boolean; readonly unfit: Phrase | undefined } {
  const name = string(object(node["metadata"])["name"]);
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
  return { name, imageVolumes: volumes, unfit: why() };
}
