import { isRunning, type Container, type Pod } from "../../../cluster/pods.ts";
import { UserError } from "../../../model/error.ts";
import { command, joined, say, type Phrase } from "../../../model/phrase.ts";

/** One container of one pod. */
export interface ContainerTarget {
  readonly pod: Pod;
  readonly container: Container;
}

/**
 * The container that is meant: the one named, else the pod's only one, else its default container.
 * Undefined where that leaves a choice. Throws NoSuchContainer (exit status 2).
 */
export function containerOf(pod: Pod, name: string | undefined): Container | undefined {
  if (name !== undefined) {
    const found = pod.containers.find((container) => container.name === name);
    if (found !== undefined) return found;
    throw noSuchContainer([pod], name);
  }
  const regular = pod.containers.filter(({ kind }) => kind === "container");
  if (regular.length === 1) return regular[0];
  return regular.find((container) => container.name === pod.defaultContainer);
}

/** Throws NoSuchContainer (exit status 2) for a name that none of the pods has. */
export function ensureKnown(pods: readonly Pod[], patterns: readonly string[]): void {
  const [first] = pods;
  const unknown = patterns.find((name) => !isGlob(name) && !pods.some(({ containers }) => containers.some((one) => one.name === name)));
  if (first === undefined || unknown === undefined) return;
  throw noSuchContainer([first, ...pods.slice(1)], unknown);
}

function noSuchContainer([first, ...others]: readonly [Pod, ...Pod[]], name: string): UserError {
  const message =
    others.length === 0
      ? say`pod/${first.name} has no container ${name}`
      : say`none of these ${others.length + 1} pods has a container ${name}`;
  return new UserError({ reason: "NoSuchContainer", message, fix: say`-c takes one of: ${containerNames(first, ...others)}`, exitCode: 2 });
}

/** Exit status 2. */
export function choiceNeeded(pod: Pod, or = say``): UserError {
  return new UserError({
    reason: "ChoiceNeeded",
    message: say`pod/${pod.name} has several containers: choose one`,
    fix: say`give -c with one of: ${containerNames(pod)}${or}`,
    exitCode: 2,
  });
}

/** Those of a pod that is named: of a name whether it runs or not, of a glob those that run. Throws NoSuchContainer (exit status 2). */
export function namedContainers(pod: Pod, patterns: readonly string[]): Container[] {
  return patterns.flatMap((pattern) => (isGlob(pattern) ? matchingContainers(pod, [pattern]) : (containerOf(pod, pattern) ?? [])));
}

/** Those of the pod's running containers that one of the patterns means: a name, or a glob with * and ?. */
export function matchingContainers(pod: Pod, patterns: readonly string[]): Container[] {
  const matches = patterns.map(globPattern);
  return pod.containers.filter((container) => isRunning(container) && matches.some((pattern) => pattern.test(container.name)));
}

export function isGlob(pattern: string): boolean {
  return /[*?]/.test(pattern);
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`);
}

export function containerNames(...pods: readonly Pod[]): Phrase {
  const names = pods.flatMap(({ containers }) => containers.map(({ name, kind }) => (kind === "container" ? name : `${name} (${kind})`)));
  return joined([...new Set(names)], ", ");
}

/** Throws where the container cannot be checkpointed now, with what can be done about it. */
export function ensureRunning({ pod, container }: ContainerTarget): void {
  if (pod.node === "") {
    throw new UserError({
      reason: "PodNotScheduled",
      message: say`pod/${pod.name} is not on a node yet: nothing of it is running`,
      fix: command`kubectl describe pod ${pod.name} -n ${pod.namespace}`,
    });
  }
  if (isRunning(container)) return;
  const running = pod.containers.filter(isRunning).map(({ name }) => name);
  throw new UserError({
    reason: "ContainerNotRunning",
    message: say`container ${container.name} in pod/${pod.name} is not running: only running containers can be checkpointed`,
    why: whyNotRunning(pod, container),
    fix:
      running.length > 0
        ? say`running now: ${joined(running, ", ")} (give one with -c)`
        : command`kubectl get pod ${pod.name} -n ${pod.namespace}`,
  });
}

function whyNotRunning(pod: Pod, { state, kind }: Container): Phrase | undefined {
  if (state.phase === "running") return undefined;
  if (state.phase === "terminated") return say`it has ended (${state.reason || "terminated"}, exit status ${state.exitCode})`;
  const init = pod.containers.find((one) => one.kind === "init" && isRunning(one));
  if (init !== undefined && kind === "container") return say`the init container ${init.name} is still running`;
  const details = [state.reason, state.message].filter((text) => text !== "").join(": ");
  return details === "" ? say`it is waiting to start` : say`it is waiting to start (${details})`;
}
