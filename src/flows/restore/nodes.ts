import { ApiFailure } from "../../cluster/answer.ts";
import { callJson } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import { listAll } from "../../cluster/lists.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { command, joined, say, type Phrase, type Text } from "../../model/phrase.ts";
import type { Candidates } from "../../restore/placement.ts";
import { parseRuntime, restoreVerdict, restoringRuntimes, type Runtime } from "../../restore/runtimes.ts";
import { refusedForCrun } from "../../restore/settings.ts";
import type { FlowContext } from "../context.ts";
import type { Needs, Origin } from "./image/facts.ts";

/** What is looked at of a node. */
export interface TargetNode {
  readonly name: string;
  readonly architecture: string;
  readonly kernel: string;
  readonly runtime: Runtime | undefined;
  readonly ready: boolean;
  /** Cordoned. */
  readonly unschedulable: boolean;
  readonly taints: readonly Taint[];
  /** Names of images that it has; the kubelet lists MOST_IMAGES at most, some seconds late. */
  readonly images: readonly string[];
  /** How many images it lists. */
  readonly imageCount: number;
}

interface Taint {
  readonly key: string;
  readonly value: string;
  readonly effect: string;
}

/** Where it will be restored. */
export interface Target {
  /** Undefined: the scheduler chooses. */
  readonly node: string | undefined;
  /** Which nodes can restore it, where that is known and not all can. */
  readonly candidates: Candidates | undefined;
  /** Those that it may come to, as far as they may be read. */
  readonly nodes: readonly TargetNode[];
  readonly warnings: readonly Phrase[];
}

export interface Wanted {
  /** Undefined: any. */
  readonly node: string | undefined;
  /** The scheduler is not asked: it alone minds cordons and taints. */
  readonly bypassScheduler: boolean;
  readonly tolerations: readonly Json[];
}

/**
 * Whether the node, or any node, can restore the checkpoint: architecture, engine, the runtime's version, and whether the scheduler would take it:
 * cordons, taints. Throws a UserError where none can; what is not known is a warning.
 */
export async function findTarget(context: FlowContext, wanted: Wanted, needs: Needs, origin: Origin): Promise<Target> {
  const { node } = wanted;
  const nodes = await readNodes(context, node);
  if (nodes === undefined) {
    const what = node === undefined ? say`which nodes can restore it` : say`whether ${node} can restore it`;
    return { node, candidates: undefined, nodes: [], warnings: [say`${what} is unknown: reading nodes is not permitted`] };
  }
  const able = nodes.filter((one) => unfitness(one, needs) === undefined);
  const open = able.filter((one) => keptOff(one, wanted) === undefined);
  if (open.length === 0) throw noneFits(nodes, (one) => unfitness(one, needs) ?? keptOff(one, wanted));
  const warnings = open.flatMap((one) => doubts(one, origin));
  const fit = able.map(({ name }) => name);
  const unfit = nodes.map(({ name }) => name).filter((name) => !fit.includes(name));
  return { node, candidates: node !== undefined || unfit.length === 0 ? undefined : { fit, unfit }, nodes: open, warnings };
}

async function readNodes({ connection }: FlowContext, wanted: string | undefined): Promise<TargetNode[] | undefined> {
  try {
    if (wanted !== undefined) return [readNode(await callJson(connection, { path: apiPath`/api/v1/nodes/${wanted}` }))];
    return (await listAll(connection, { path: "/api/v1/nodes" })).items.map(readNode);
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    if (error.status === 403) return undefined;
    if (error.status === 404)
      throw new UserError({ reason: "NodeNotFound", message: say`node ${wanted ?? ""} not found`, fix: "kubectl get nodes", exitCode: 2 });
    throw error;
  }
}

export function readNode(value: unknown): TargetNode {
  const node = object(value);
  const [spec, status] = [object(node["spec"]), object(node["status"])];
  const info = object(status["nodeInfo"]);
  const ready = list(status["conditions"])
    .map(object)
    .find(({ type }) => type === "Ready");
  const images = list(status["images"]).map(object);
  return {
    name: string(object(node["metadata"])["name"]),
    architecture: string(info["architecture"]),
    kernel: string(info["kernelVersion"]),
    runtime: parseRuntime(string(info["containerRuntimeVersion"])),
    ready: ready?.["status"] === "True",
    unschedulable: spec["unschedulable"] === true,
    taints: list(spec["taints"])
      .map(object)
      .map(({ key, value: of, effect }) => ({ key: string(key), value: string(of), effect: string(effect) })),
    images: images.flatMap(({ names }) => list(names).map(string)),
    imageCount: images.length,
  };
}

interface Unfit {
  readonly reason: string;
  readonly why: Phrase;
  readonly fix?: Text | undefined;
}

function unfitness(node: TargetNode, { info, architecture, oci }: Needs): Unfit | undefined {
  const { name, runtime } = node;
  if (!node.ready) return { reason: "NodeNotReady", why: say`${name} is not ready` };
  if (node.architecture !== "" && node.architecture !== architecture)
    return { reason: "ArchitectureMismatch", why: say`${name} is ${node.architecture}, the checkpoint is of ${architecture}` };
  if (info.engine === "podman")
    return { reason: "EngineMismatch", why: say`Podman made it: no kubelet restores it`, fix: "podman container restore --import FILE" };
  if (runtime !== undefined && info.engine !== undefined && runtime.name !== info.engine) {
    const why = say`${name} runs ${runtime.name}, the checkpoint was made by ${info.engine}: each restores only its own`;
    return { reason: "EngineMismatch", why };
  }
  if (runtime?.name === "containerd" && oci === "crun") return refusedForCrun(name, undefined);
  const verdict = restoreVerdict(runtime);
  if (verdict.restores !== "no") return undefined;
  const fix = info.engine === undefined ? undefined : say`restore it on a node with ${restoringRuntimes(info.engine)}`;
  return { reason: "RuntimeCannotRestore", why: say`${name}: ${verdict.why ?? ""}`, fix };
}

/** What the API server, or the node's controller, puts on a node that is cordoned: who tolerates it is scheduled there. */
const CORDONED: Taint = { key: "node.kubernetes.io/unschedulable", value: "", effect: "NoSchedule" };

/** What the scheduler would say of a node, or without it the kubelet. */
function keptOff({ name, unschedulable, taints }: TargetNode, { node, bypassScheduler, tolerations }: Wanted): Unfit | undefined {
  const around = node === undefined ? say`or use --node ${name} with --bypass-scheduler` : say`or rerun with --bypass-scheduler`;
  if (unschedulable && !bypassScheduler && !tolerations.some((toleration) => tolerates(toleration, CORDONED)))
    return { reason: "NodeCordoned", why: say`${name} is cordoned`, fix: say`${command`kubectl uncordon ${name}`}\n${around}` };
  const minded = bypassScheduler ? ["NoExecute"] : ["NoSchedule", "NoExecute"];
  const taint = taints.find((one) => minded.includes(one.effect) && !tolerations.some((toleration) => tolerates(toleration, one)));
  if (taint === undefined) return undefined;
  const why = say`${name} has the taint ${taint.key}${taint.value === "" ? say`` : say`=${taint.value}`}:${taint.effect}, which the pod does not tolerate`;
  return { reason: "NodeTainted", why, fix: taint.effect === "NoSchedule" ? say`choose another node, ${around}` : "choose another node" };
}

function tolerates(toleration: Json, taint: Taint): boolean {
  const [key, effect] = [string(toleration["key"]), string(toleration["effect"])];
  if (effect !== "" && effect !== taint.effect) return false;
  if (toleration["operator"] === "Exists") return key === "" || key === taint.key;
  return key === taint.key && string(toleration["value"]) === taint.value;
}

function noneFits(nodes: readonly TargetNode[], judge: (node: TargetNode) => Unfit | undefined): UserError {
  const unfit = nodes.flatMap((node) => judge(node) ?? []);
  const [only] = nodes;
  const one = nodes.length === 1 && only !== undefined;
  const message = one
    ? say`${only.name} cannot restore this checkpoint; nothing was created`
    : say`no node can restore this checkpoint; nothing was created`;
  const first = unfit.find(({ fix }) => fix !== undefined);
  return new UserError({
    reason: unfit[0]?.reason ?? "NoNode",
    message,
    why:
      unfit.length === 0
        ? "the cluster has no node"
        : joined(
            unfit.map(({ why }) => why),
            "\n",
          ),
    fix: first?.fix,
  });
}

function doubts({ name, kernel, unschedulable }: TargetNode, origin: Origin): Phrase[] {
  return [
    ...(origin.kernel !== undefined && kernel !== "" && origin.kernel !== kernel
      ? [say`${name} has kernel ${kernel}, the checkpoint is from ${origin.kernel}: CRIU may refuse, most likely on an older one`]
      : []),
    ...(unschedulable ? [say`${name} is cordoned`] : []),
  ];
}
