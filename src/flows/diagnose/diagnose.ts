import type { Grantee } from "../../cluster/access.ts";
import { ApiFailure } from "../../cluster/answer.ts";
import { listNodes } from "../../cluster/nodes.ts";
import { isRunning, listPods, NOT_ENDED, type Container, type Pod } from "../../cluster/pods.ts";
import { CLUSTER_CHECKS } from "../../doctor/checks/cluster.ts";
import { CONTAINER_CHECKS } from "../../doctor/checks/container.ts";
import { DEEP_CHECKS, deepUnseen } from "../../doctor/checks/deep.ts";
import { infoOf, milliseconds, NODE_CHECKS, type JudgedNode } from "../../doctor/checks/node.ts";
import { PROCESS_CHECKS } from "../../doctor/checks/processes.ts";
import { askCluster, orError, type ClusterFacts } from "../../doctor/facts/cluster.ts";
import { askDeep, criuOptions } from "../../doctor/facts/deep.ts";
import { askNode } from "../../doctor/facts/node.ts";
import { specOf } from "../../doctor/facts/pod.ts";
import { askProcesses, idOf } from "../../doctor/facts/processes.ts";
import { notLookedAt, ok, runChecks, skip, type Finding, type Verdict } from "../../doctor/finding.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { forecast } from "../../kubelet/forecast.ts";
import { UserError } from "../../model/error.ts";
import { inParallel } from "../../model/parallel.ts";
import { command, say } from "../../model/phrase.ts";
import { counted } from "../../model/units.ts";
import { parseRuntime, restoreVerdict } from "../../restore/runtimes.ts";
import type { FlowContext } from "../context.ts";
import { containerOf, type ContainerTarget } from "../capture/targets/containers.ts";
import { movesLeft } from "./moves.ts";
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
  /** Options of CRIU that an interrupted --criu-option left on a node, as far as --deep looked. */
  readonly leftovers: readonly Leftover[];
}

export interface Leftover {
  readonly node: string;
  /** The helper pod that did not put them back. */
  readonly owner: string;
}

/** Nodes that are asked where none is named. */
const MOST_NODES = 50;
const PARALLEL = 16;
const FORECAST_MS = 3000;

/** Will a checkpoint work, a copy, a restore? Asks what there is to ask, and judges it. Throws where the subject does not exist. */
export async function diagnose(
  context: FlowContext,
  helpers: Helpers,
  subject: Subject,
  deep: boolean,
  other?: Grantee,
): Promise<Diagnosed> {
  const { connection, emit } = context;
  emit({ kind: "activity", lane: "doctor", text: say`asking the API server` });
  try {
    const found = await orError(async () => await resolve(context, subject));
    if (found instanceof UserError && (found.reason === "PodNotFound" || found.exitCode === 2)) throw found;
    const { nodes: names, pod, unasked } = found instanceof UserError ? { nodes: [], pod: undefined, unasked: [notListed(found)] } : found;
    const cluster = await askCluster(connection, helpers, connection.namespace, names[0], other);
    const findings = runChecks(CLUSTER_CHECKS, cluster);
    const { version } = cluster;
    if (version instanceof UserError) return { findings, cluster, nodes: [], leftovers: [] };
    findings.push(...unasked);

    const nodes: JudgedNode[] = [];
    const containers = deep ? await containersOf(context, pod, subject) : [];
    const unlisted = containers === undefined;
    const leftovers: Leftover[] = [];
    const ofNodes = new Map<string, Finding[]>();
    const progress = (): void =>
      emit({ kind: "activity", lane: "doctor", text: say`${ofNodes.size} of ${counted(names.length, "node")} looked at` });
    if (names.length > 1) progress();
    await inParallel(names, PARALLEL, async (name) => {
      emit({ kind: "activity", lane: `doctor ${name}`, text: say`asking ${name}` });
      const node = await judged(context, name, version);
      nodes.push(node);
      // Of a node that is not there, nothing else is worth a line.
      const absent = node.node instanceof UserError && node.node.reason === "NotFound";
      const own = runChecks(absent ? NODE_CHECKS.slice(0, 1) : NODE_CHECKS, node, name);
      if (!absent)
        own.push(
          ...(deep
            ? await lookDeep(helpers, node, containers ?? [], { ofPodAlone: pod !== undefined, unlisted }, leftovers)
            : [criuNotLookedAt(name, subject, connection.namespace)]),
        );
      ofNodes.set(name, own);
      if (names.length > 1) progress();
      emit({ kind: "idle", lane: `doctor ${name}` });
    });
    // By check, then by node: what is the same comes together.
    const inOrder = names.flatMap((name) => ofNodes.get(name) ?? []);
    const order = [...new Set(inOrder.map(({ check }) => check))];
    findings.push(...order.flatMap((check) => inOrder.filter((finding) => finding.check === check)));
    if (subject.kind !== "node") findings.push(...(await movesLeft(context, pod?.namespace ?? context.connection.namespace)));
    if (pod !== undefined && subject.kind === "pod") findings.push(...(await ofPod(context, pod, subject.container, nodes[0], deep)));
    return { findings, cluster, nodes, leftovers };
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
  const verdict = forbidden
    ? skip(say`${error.said.message}; no node was asked`, "kubectl checkpoint doctor node/NODE")
    : skip(error.message);
  return { check: "nodes", decides: ["checkpoint", "copy", "restore"], ...verdict };
}

async function judged({ connection }: FlowContext, name: string, version: string): Promise<JudgedNode> {
  const facts = await askNode(connection, name, version);
  const runtime = facts.node instanceof UserError ? "" : infoOf(facts.node, "containerRuntimeVersion");
  return { ...facts, runtime, restores: restoreVerdict(parseRuntime(runtime)) };
}

function criuNotLookedAt(node: string, subject: Subject, namespace: string): Finding {
  const of =
    subject.kind === "cluster" ? say`` : subject.kind === "node" ? command` node/${node}` : command` ${subject.pod} -n ${namespace}`;
  const verdict = notLookedAt("only --deep looks at it, through helper pods", command`kubectl checkpoint doctor${of} --deep`);
  return { check: "criu", decides: ["checkpoint", "restore"], of: node, ...verdict };
}

/** Containers of a node whose processes are looked at. */
const MOST_CONTAINERS = 100;

/** Those whose processes are looked at: the pod's, or all that run in the namespace; undefined where they could not be listed. */
async function containersOf({ connection }: FlowContext, pod: Pod | undefined, subject: Subject): Promise<ContainerTarget[] | undefined> {
  if (pod !== undefined && subject.kind === "pod")
    return wantedOf(pod, subject.container).flatMap((container) => (isRunning(container) ? [{ pod, container }] : []));
  const found: ContainerTarget[] = [];
  const query = { namespace: connection.namespace, fieldSelector: NOT_ENDED };
  try {
    for await (const page of listPods(connection, query))
      for (const one of page) found.push(...one.containers.filter(isRunning).map((container) => ({ pod: one, container })));
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    return undefined;
  }
  return found;
}

/** Through helper pods, where there is a point in starting any. */
async function lookDeep(
  helpers: Helpers,
  { name, node, probe, runtime }: JudgedNode,
  all: readonly ContainerTarget[],
  { ofPodAlone, unlisted }: { readonly ofPodAlone: boolean; readonly unlisted: boolean },
  leftovers: Leftover[],
): Promise<Finding[]> {
  const ready = node instanceof UserError || node.ready;
  if (!ready || probe.error?.reason === "KubeletUnreachable") {
    return [
      { check: "deep", decides: ["checkpoint"], of: name, ...skip("no helper pod can start there: what only the node knows is unknown") },
    ];
  }
  // One pod for what is asked of the node and of its processes.
  await using _held = helpers.directory(name, "host", "/");
  const info = (field: string): string => (node instanceof UserError ? "" : infoOf(node, field));
  const found = await orError(async () => await askDeep(helpers, name, info("kernelVersion")));
  if (found instanceof UserError) return [{ check: "deep", decides: ["copy"], of: name, ...deepUnseen(found) }];
  if (found.held?.left === true) leftovers.push({ node: name, owner: found.held.owner });
  const here = all.filter(({ pod }) => pod.node === name);
  const looked = here.slice(0, MOST_CONTAINERS);
  const ids = looked.flatMap(({ container }) => idOf(container) ?? []);
  const processes = await orError(async () => await askProcesses(helpers, name, ids));
  if (processes instanceof UserError)
    return [
      ...runChecks(DEEP_CHECKS, { ...found, runtime }, name),
      { check: "processes", decides: [], of: name, ...deepUnseen(processes) },
    ];
  const judged = looked.flatMap(({ pod, container }) => {
    const seen = processes.get(idOf(container) ?? "");
    const of = ofPodAlone ? `container ${container.name}` : `pod/${pod.name} container ${container.name}`;
    if (seen === undefined) return ofPodAlone ? [{ check: "processes", decides: [], of, ...skip("none of its processes was found") }] : [];
    const facts = {
      processes: seen,
      target: { node: name, namespace: pod.namespace, pod: pod.name, container: container.name },
      containerID: container.containerID,
      architecture: info("architecture"),
      options: criuOptions(found),
      nodeFiltered: found.filtered,
    };
    return runChecks(PROCESS_CHECKS, facts, of);
  });
  return [
    ...runChecks(DEEP_CHECKS, { ...found, runtime }, name),
    ...(ofPodAlone ? judged : judged.filter(isBad).map(ofMany)),
    ...(ofPodAlone
      ? []
      : [{ check: "containers", decides: [], of: name, ...lookedAt(looked, here.length, judged.filter(isBad), unlisted) }]),
  ];
}

/** Of many containers one that cannot be dumped is no fault of the cluster, and says nothing of the others. */
function ofMany(finding: Finding): Finding {
  return finding.status === "fail" ? { ...finding, status: "warn", denies: true } : { ...finding, decides: [] };
}

function isBad({ status }: Finding): boolean {
  return status === "warn" || status === "fail";
}

function lookedAt(looked: readonly ContainerTarget[], all: number, bad: readonly Finding[], unlisted: boolean): Verdict {
  const [first] = looked;
  if (unlisted) return skip("the pods of the namespace could not be listed: no processes were looked at");
  if (first === undefined) return skip("no container of the namespace runs there");
  const affected = new Set(bad.map(({ of }) => of)).size;
  const more = all > looked.length ? say`; ${all - looked.length} more were not looked at` : say``;
  return ok(
    say`${counted(looked.length, "container")} of namespace ${first.pod.namespace} looked at, ${affected} of them named above${more}`,
  );
}

function wantedOf(pod: Pod, wanted: string | undefined): Container[] {
  return wanted === undefined
    ? pod.containers.filter(({ kind, state }) => kind === "container" || state.phase === "running")
    : pod.containers.filter(({ name }) => name === wanted);
}

async function ofPod(
  { connection }: FlowContext,
  pod: Pod,
  wanted: string | undefined,
  node: JudgedNode | undefined,
  deep: boolean,
): Promise<Finding[]> {
  const timeout = node?.runtimeRequestTimeout;
  const all = await Promise.all(
    wantedOf(pod, wanted).map(async (container) => {
      const target = { node: pod.node, namespace: pod.namespace, pod: pod.name, container: container.name };
      const facts = {
        pod,
        container,
        spec: specOf(pod, container),
        forecast: pod.node === "" ? {} : await forecast(connection, target, FORECAST_MS),
        runtimeTimeoutMs: timeout === undefined ? undefined : milliseconds(timeout),
      };
      const of = `container ${container.name}`;
      const unseen: Finding[] = deep
        ? []
        : [{ check: "processes", decides: ["checkpoint"], of, ...notLookedAt("only --deep looks at its processes") }];
      return [...runChecks(CONTAINER_CHECKS, facts, of), ...unseen];
    }),
  );
  return all.flat();
}
