import { ApiFailure } from "../../cluster/answer.ts";
import { listNodes } from "../../cluster/nodes.ts";
import type { Pod } from "../../cluster/pods.ts";
import { CLUSTER_CHECKS } from "../../doctor/checks/cluster.ts";
import { CONTAINER_CHECKS } from "../../doctor/checks/container.ts";
import { DEEP_CHECKS, keepsConnections } from "../../doctor/checks/deep.ts";
import { infoOf, milliseconds, NODE_CHECKS, type JudgedNode } from "../../doctor/checks/node.ts";
import { askCluster, orError, type ClusterFacts } from "../../doctor/facts/cluster.ts";
import { askDeep, type DeepFacts } from "../../doctor/facts/deep.ts";
import { askNode } from "../../doctor/facts/node.ts";
import { askProcesses, specOf } from "../../doctor/facts/pod.ts";
import { fail, notLookedAt, runChecks, skip, type Finding } from "../../doctor/finding.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { forecast } from "../../kubelet/forecast.ts";
import { UserError } from "../../model/error.ts";
import { inParallel } from "../../model/parallel.ts";
import { say } from "../../model/phrase.ts";
import { parseRuntime, restoreVerdict } from "../../restore/runtimes.ts";
import type { FlowContext } from "../context.ts";
import { containerOf } from "../capture/targets/containers.ts";
import { findPod } from "../capture/targets/find.ts";

/** What is to be looked at. */
export type Subject =
  | { readonly kind: "cluster" }
  | { readonly kind: "node"; readonly node: string }
  | { readonly kind: "pod"; readonly pod: string; readonly container: string | undefined };

export interface Diagnosed {
  readonly findings: readonly Finding[];
  readonly cluster: ClusterFacts;
  readonly nodes: readonly JudgedNode[];
}

/** Nodes that are asked where none is named. */
const MOST_NODES = 50;
const PARALLEL = 16;
const FORECAST_MS = 3000;

/** Will a checkpoint work, a copy, a restore? Asks what there is to ask, and judges it. Throws where the subject does not exist. */
export async function diagnose(context: FlowContext, helpers: Helpers, subject: Subject, deep: boolean): Promise<Diagnosed> {
  const { connection, emit } = context;
  emit({ kind: "activity", lane: "doctor", text: say`asking the API server` });
  try {
    const found = await orError(async () => await resolve(context, subject));
    if (found instanceof UserError && (found.reason === "PodNotFound" || found.exitCode === 2)) throw found;
    const { nodes: names, pod, unasked } = found instanceof UserError ? { nodes: [], pod: undefined, unasked: [notListed(found)] } : found;
    const cluster = await askCluster(connection, helpers, connection.namespace, names[0]);
    const findings = runChecks(CLUSTER_CHECKS, cluster);
    const { version } = cluster;
    if (version instanceof UserError) return { findings, cluster, nodes: [] };
    findings.push(...unasked);

    // One helper pod for what is asked of the node, and of the pod's processes.
    await using _held = deep && pod !== undefined && names.length > 0 ? helpers.directory(pod.node, "host", "/") : undefined;
    const nodes: JudgedNode[] = [];
    const deepFacts = new Map<string, DeepFacts>();
    const ofNodes = new Map<string, Finding[]>();
    await inParallel(names, PARALLEL, async (name) => {
      emit({ kind: "activity", lane: `doctor ${name}`, text: say`asking ${name}` });
      const node = await judged(context, name, version);
      nodes.push(node);
      // Of a node that is not there, nothing else is worth a line.
      const absent = node.node instanceof UserError && node.node.reason === "NotFound";
      const own = runChecks(absent ? NODE_CHECKS.slice(0, 1) : NODE_CHECKS, node, name);
      if (!absent) own.push(...(deep ? await lookDeep(helpers, node, deepFacts) : [criuNotLookedAt(name, subject, connection.namespace)]));
      ofNodes.set(name, own);
      emit({ kind: "idle", lane: `doctor ${name}` });
    });
    // By check, then by node: what is the same comes together.
    const inOrder = names.flatMap((name) => ofNodes.get(name) ?? []);
    const order = [...new Set(inOrder.map(({ check }) => check))];
    findings.push(...order.flatMap((check) => inOrder.filter((finding) => finding.check === check)));
    if (pod !== undefined && subject.kind === "pod")
      findings.push(
        ...(await ofPod(context, helpers, pod, subject.container, { node: nodes[0], deepFacts: deepFacts.get(pod.node), deep })),
      );
    return { findings, cluster, nodes };
  } finally {
    emit({ kind: "idle", lane: "doctor" });
  }
}

interface Found {
  readonly nodes: readonly string[];
  readonly pod: Pod | undefined;
  readonly unasked: readonly Finding[];
}

async function resolve(context: FlowContext, subject: Subject): Promise<Found> {
  if (subject.kind === "node") return { nodes: [subject.node], pod: undefined, unasked: [] };
  if (subject.kind === "pod") {
    const pod = await findPod(context, subject.pod);
    containerOf(pod, subject.container);
    return { nodes: pod.node === "" ? [] : [pod.node], pod, unasked: [] };
  }
  const all = (await listNodes(context.connection)).filter(({ os }) => os !== "windows").map(({ name }) => name);
  const more = all.length - MOST_NODES;
  const unasked = more <= 0 ? [] : [{ check: "nodes", decides: [], ...skip(`${more} more were not asked: name one with node/NODE`) }];
  return { nodes: all.slice(0, MOST_NODES), pod: undefined, unasked };
}

function notListed(error: UserError): Finding {
  const forbidden = error instanceof ApiFailure && error.status === 403;
  const verdict = forbidden ? skip(`${error.message}: no node was asked`, "kubectl checkpoint doctor node/NODE") : skip(error.message);
  return { check: "nodes", decides: ["checkpoint", "copy", "restore"], ...verdict };
}

async function judged({ connection }: FlowContext, name: string, version: string): Promise<JudgedNode> {
  const facts = await askNode(connection, name, version);
  const runtime = facts.node instanceof UserError ? "" : infoOf(facts.node, "containerRuntimeVersion");
  return { ...facts, runtime, restores: restoreVerdict(parseRuntime(runtime)) };
}

function criuNotLookedAt(node: string, subject: Subject, namespace: string): Finding {
  const of = subject.kind === "cluster" ? "" : subject.kind === "node" ? ` node/${node}` : ` ${subject.pod} -n ${namespace}`;
  const verdict = notLookedAt("only --deep looks at it, through helper pods", `kubectl checkpoint doctor${of} --deep`);
  return { check: "criu", decides: ["checkpoint", "restore"], of: node, ...verdict };
}

/** Through helper pods, where there is a point in starting any. */
async function lookDeep(helpers: Helpers, { name, node, probe }: JudgedNode, facts: Map<string, DeepFacts>): Promise<Finding[]> {
  const ready = node instanceof UserError || node.ready;
  if (!ready || probe.error?.reason === "KubeletUnreachable") {
    return [
      { check: "deep", decides: ["checkpoint"], of: name, ...skip("no helper pod starts there: what only the node tells is not known") },
    ];
  }
  const found = await orError(async () => await askDeep(helpers, name, node instanceof UserError ? "" : infoOf(node, "kernelVersion")));
  if (found instanceof UserError) {
    const verdict = fail(found.whole, found.said.fix);
    return [{ check: "deep", decides: ["copy"], of: name, ...verdict }];
  }
  facts.set(name, found);
  return runChecks(DEEP_CHECKS, found, name);
}

async function ofPod(
  { connection }: FlowContext,
  helpers: Helpers,
  pod: Pod,
  wanted: string | undefined,
  known: { readonly node: JudgedNode | undefined; readonly deepFacts: DeepFacts | undefined; readonly deep: boolean },
): Promise<Finding[]> {
  const containers =
    wanted === undefined
      ? pod.containers.filter(({ kind, state }) => kind === "container" || state.phase === "running")
      : pod.containers.filter(({ name }) => name === wanted);
  const timeout = known.node?.runtimeRequestTimeout;
  const all = await Promise.all(
    containers.map(async (container) => {
      const target = { node: pod.node, namespace: pod.namespace, pod: pod.name, container: container.name };
      const expected = pod.node === "" ? {} : await forecast(connection, target, FORECAST_MS);
      const processes =
        known.deepFacts === undefined ? undefined : await orError(async () => await askProcesses(helpers, pod.node, container));
      const facts = {
        pod,
        container,
        spec: specOf(pod, container),
        forecast: expected,
        runtimeTimeoutMs: timeout === undefined ? undefined : milliseconds(timeout),
        processes: processes instanceof UserError ? undefined : processes,
        keepsConnections: known.deepFacts === undefined ? undefined : keepsConnections(known.deepFacts),
      };
      return runChecks(CONTAINER_CHECKS, facts, `container ${container.name}`);
    }),
  );
  return all.flat();
}
