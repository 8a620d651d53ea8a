import { ApiFailure } from "../../cluster/answer.ts";
import { callJson } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import { listAll } from "../../cluster/lists.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { parseRuntime, restoreVerdict, restoringRuntimes, type Runtime } from "../../restore/runtimes.ts";
import type { Needs, Origin } from "./image/facts.ts";
import type { FlowContext } from "../context.ts";

/** What is looked at of a node. */
export interface TargetNode {
  readonly name: string;
  readonly architecture: string;
  readonly kernel: string;
  readonly runtime: Runtime | undefined;
  readonly ready: boolean;
  /** Cordoned. */
  readonly unschedulable: boolean;
  /** Names of images that it has; the kubelet tells of 50 at most. */
  readonly images: readonly string[];
}

/** Where it will be restored. */
export interface Target {
  /** Undefined: the scheduler chooses. */
  readonly node: string | undefined;
  /** Nodes that can restore it, where that is known and not all can. */
  readonly candidates: readonly string[] | undefined;
  /** Those that it may come to, as far as they may be read. */
  readonly nodes: readonly TargetNode[];
  readonly warnings: readonly Phrase[];
}

/**
 * Whether the node, or any node, can restore the checkpoint: architecture, engine, the runtime's version. Throws a UserError where
 * none can; what cannot be told is a warning.
 */
export async function findTarget(context: FlowContext, wanted: string | undefined, facts: Needs, origin: Origin): Promise<Target> {
  const nodes = await readNodes(context, wanted);
  if (nodes === undefined) {
    const what = wanted === undefined ? say`which nodes can restore it` : say`whether ${wanted} can restore it`;
    return { node: wanted, candidates: undefined, nodes: [], warnings: [say`you may not read nodes: ${what} cannot be told`] };
  }
  const able = nodes.filter((node) => unfitness(node, facts) === undefined);
  if (able.length === 0) throw noneFits(nodes, facts);
  const warnings = [...new Set(able.flatMap((node) => doubts(node, origin)))];
  const candidates = wanted !== undefined || able.length === nodes.length ? undefined : able.map(({ name }) => name);
  return { node: wanted, candidates, nodes: able, warnings: warnings.map((warning) => say`${warning}`) };
}

async function readNodes({ connection }: FlowContext, wanted: string | undefined): Promise<TargetNode[] | undefined> {
  try {
    if (wanted !== undefined) return [readNode(await callJson(connection, { path: apiPath`/api/v1/nodes/${wanted}` }))];
    return (await listAll(connection, { path: "/api/v1/nodes" })).items.map(readNode);
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    if (error.status === 403) return undefined;
    if (error.status === 404)
      throw new UserError({ reason: "NodeNotFound", message: `there is no node ${wanted}`, fix: "kubectl get nodes", exitCode: 2 });
    throw error;
  }
}

function readNode(value: unknown): TargetNode {
  const node = object(value);
  const status = object(node["status"]);
  const info = object(status["nodeInfo"]);
  const ready = list(status["conditions"])
    .map(object)
    .find(({ type }) => type === "Ready");
  return {
    name: string(object(node["metadata"])["name"]),
    architecture: string(info["architecture"]),
    kernel: string(info["kernelVersion"]),
    runtime: parseRuntime(string(info["containerRuntimeVersion"])),
    ready: ready?.["status"] === "True",
    unschedulable: object(node["spec"])["unschedulable"] === true,
    images: list(status["images"]).flatMap((image) => list(object(image as Json)["names"]).map(string)),
  };
}

interface Unfit {
  readonly reason: string;
  readonly why: string;
}

function unfitness(node: TargetNode, { info, architecture }: Needs): Unfit | undefined {
  const { name, runtime } = node;
  if (!node.ready) return { reason: "NodeNotReady", why: `${name} is not ready` };
  if (node.architecture !== "" && node.architecture !== architecture) {
    return { reason: "ArchitectureMismatch", why: `${name} is ${node.architecture}, the checkpoint is of ${architecture}` };
  }
  if (info.engine === "podman")
    return { reason: "EngineMismatch", why: "it was made by Podman: podman container restore takes it, no kubelet does" };
  if (runtime !== undefined && info.engine !== undefined && runtime.name !== info.engine) {
    return {
      reason: "EngineMismatch",
      why: `${name} runs ${runtime.name}, the checkpoint was made by ${info.engine}: each restores its own alone`,
    };
  }
  const verdict = restoreVerdict(runtime);
  return verdict.restores === "no" ? { reason: "RuntimeCannotRestore", why: `${name}: ${verdict.why ?? ""}` } : undefined;
}

function noneFits(nodes: readonly TargetNode[], facts: Needs): UserError {
  const unfit = nodes.flatMap((node) => unfitness(node, facts) ?? []);
  const [only] = nodes;
  const what =
    nodes.length === 1 && only !== undefined ? `${only.name} cannot restore this checkpoint` : "no node can restore this checkpoint";
  return new UserError({
    reason: unfit[0]?.reason ?? "NoNode",
    message: what,
    why: [...new Set(unfit.map(({ why }) => why))].join("\n") || "there is no node",
    ...(unfit.some(({ reason }) => reason === "RuntimeCannotRestore") && facts.info.engine !== undefined
      ? { fix: say`restore it on a node with ${restoringRuntimes(facts.info.engine)}` }
      : {}),
  });
}

function doubts({ name, kernel, runtime, unschedulable }: TargetNode, origin: Origin): string[] {
  const verdict = restoreVerdict(runtime);
  return [
    ...(verdict.why === undefined ? [] : [`${name}: ${verdict.why}`]),
    ...(origin.kernel !== undefined && kernel !== "" && origin.kernel !== kernel
      ? [`${name} has kernel ${kernel}, the checkpoint is from ${origin.kernel}: CRIU may refuse, above all on an older one`]
      : []),
    ...(unschedulable ? [`${name} is cordoned`] : []),
  ];
}
