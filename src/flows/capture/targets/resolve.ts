import { listPods, NOT_ENDED, type Pod, type PodQuery } from "../../../cluster/pods.ts";
import { workloadSelector } from "../../../cluster/workloads.ts";
import { UserError } from "../../../model/error.ts";
import { joined, say, type Phrase } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";
import { pickContainers } from "../pick.ts";
import {
  choiceNeeded,
  containerNames,
  containerOf,
  ensureKnown,
  matchingContainers,
  namedContainers,
  type ContainerTarget,
} from "./containers.ts";
import { findPod } from "./find.ts";

/** What a command line means by its words and selectors. */
export interface TargetQuery {
  readonly words: readonly (PodWord | WorkloadWord)[];
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  readonly allNamespaces: boolean;
  /** Names and globs; none: the pod's own choice. */
  readonly containers: readonly string[];
  readonly allContainers: boolean;
}

export interface PodWord {
  readonly kind: "pod";
  readonly name: string;
}

export interface WorkloadWord {
  readonly kind: "workload";
  readonly type: string;
  readonly name: string;
}

/**
 * The containers that are meant, those of one pod side by side, none twice. A pod that is named is taken as it is, so that an
 * error can say why it cannot be checkpointed; behind selectors and workloads only what runs counts. A container that is named, and
 * that no pod of those named has, is an error; behind selectors it need not be there as long as anything matches.
 * Throws a UserError: NothingMatches, and with exit status 2 ChoiceNeeded and NoSuchContainer.
 */
export async function resolveTargets(context: FlowContext, query: TargetQuery): Promise<ContainerTarget[]> {
  const targets = new Map<string, ContainerTarget>();
  const add = ({ pod, container }: ContainerTarget): void => void targets.set(`${pod.uid}/${container.name}`, { pod, container });
  const named: { readonly word: PodWord | WorkloadWord; readonly pods: readonly Pod[] }[] = [];
  for (const word of query.words) named.push({ word, pods: await podsOf(context, word) });
  ensureKnown(
    named.flatMap(({ pods }) => pods),
    query.containers,
  );
  for (const { word, pods } of named) {
    if (word.kind === "workload")
      containersOfAll(pods, query, say`${word.type}/${word.name} in namespace ${context.connection.namespace}`).forEach(add);
    else for (const pod of pods) (await containersOfNamed(context, pod, query)).forEach(add);
  }
  if (query.words.length === 0) for (const target of await selected(context, query)) add(target);
  const inOrder = [...targets.values()];
  // A pod named between the containers of another one must not come between them.
  return [...Map.groupBy(inOrder, ({ pod }) => pod.uid).values()].flat();
}

async function podsOf(context: FlowContext, word: PodWord | WorkloadWord): Promise<Pod[]> {
  if (word.kind === "pod") return [await findPod(context, word.name)];
  const { namespace } = context.connection;
  const labelSelector = await workloadSelector(context.connection, namespace, word.type, word.name);
  return await runningPods(context, { namespace, labelSelector, fieldSelector: NOT_ENDED });
}

async function containersOfNamed(context: FlowContext, pod: Pod, { containers, allContainers }: TargetQuery): Promise<ContainerTarget[]> {
  if (allContainers || containers.length > 0) {
    const found = allContainers ? matchingContainers(pod, ["*"]) : namedContainers(pod, containers);
    if (found.length > 0) return found.map((container) => ({ pod, container }));
    const what = allContainers ? say`no running container` : say`no running container ${joined(containers, ", ")}`;
    throw new UserError({
      reason: "NoSuchContainer",
      message: say`pod/${pod.name} has ${what}`,
      fix: say`it has: ${containerNames(pod)}`,
      exitCode: 2,
    });
  }
  const container = containerOf(pod, undefined);
  if (container !== undefined) return [{ pod, container }];
  if (context.ask.possible) return await pickContainers(context, { pod });
  throw choiceNeeded(pod);
}

async function selected(context: FlowContext, query: TargetQuery): Promise<ContainerTarget[]> {
  const namespace = query.allNamespaces ? undefined : context.connection.namespace;
  const fieldSelector = [NOT_ENDED, query.fieldSelector].filter(Boolean).join(",");
  const pods = await runningPods(context, { namespace, labelSelector: query.labelSelector, fieldSelector });
  return containersOfAll(pods, query, namespace === undefined ? say`these selectors` : say`these selectors in namespace ${namespace}`);
}

async function runningPods({ connection }: FlowContext, query: PodQuery): Promise<Pod[]> {
  const pods: Pod[] = [];
  for await (const page of listPods(connection, query)) pods.push(...page.filter(({ node }) => node !== ""));
  return pods;
}

function containersOfAll(pods: readonly Pod[], { containers, allContainers }: TargetQuery, what: Phrase): ContainerTarget[] {
  const patterns = allContainers ? ["*"] : containers;
  const targets = pods.flatMap((pod) => {
    const running = matchingContainers(pod, ["*"]);
    if (running.length === 0) return [];
    if (patterns.length > 0) return matchingContainers(pod, patterns).map((container) => ({ pod, container }));
    const container = containerOf(pod, undefined);
    if (container === undefined) throw choiceNeeded(pod, say` (or --all-containers)`);
    return running.includes(container) ? [{ pod, container }] : [];
  });
  if (targets.length > 0) return targets;
  const named = containers.length > 0 ? say` with a container ${joined(containers, ", ")}` : say``;
  throw new UserError({
    reason: "NothingMatches",
    message: say`no running pod${named} matches ${what}`,
    fix: "kubectl get pods, with the same selectors",
  });
}
