import type { ContainerTarget } from "../../flows/capture/targets/containers.ts";
import type { CopyOptions } from "../../flows/collect/copy/prepare.ts";
import type { Expectations } from "../../flows/capture/run/expect.ts";
import type { FlowContext } from "../../flows/context.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { Helpers } from "../../helper/helpers.ts";
import { Interrupted, usageError } from "../../model/error.ts";
import { forecast, pausedSeconds } from "../../kubelet/forecast.ts";
import { counted, formatBytes, formatSeconds } from "../../model/units.ts";
import { joined, say, type Phrase } from "../../model/phrase.ts";

/** More containers than this are confirmed. */
const UNASKED = 20;
/** Pods that the list shows by name. */
const LISTED = 50;

/** Shows what was selected before anything is done. Many containers, or several namespaces, are confirmed; without a terminal, by --yes. */
export async function agree(
  context: FlowContext,
  targets: readonly ContainerTarget[],
  { summary }: Expectations,
  yes: boolean,
): Promise<void> {
  const pods = [...Map.groupBy(targets, ({ pod }) => pod.uid).values()];
  const nodes = new Set(targets.map(({ pod }) => pod.node)).size;
  const namespaces = new Set(targets.map(({ pod }) => pod.namespace)).size;
  const size = say`${counted(targets.length, "container")} in ${counted(pods.length, "pod")} on ${counted(nodes, "node")}${namespaces > 1 ? say` in ${namespaces} namespaces` : say``}${summary}`;
  const lines = pods.slice(0, LISTED).map((ofPod) => podLine(ofPod, namespaces > 1));
  const more = pods.length > LISTED ? [say`  and ${pods.length - LISTED} more`] : [];
  context.emit({ kind: "hint", text: joined([say`${size}:`, ...lines, ...more], "\n") });
  if (yes || (targets.length <= UNASKED && namespaces === 1)) return;
  if (!context.ask.possible)
    throw usageError(
      `this would checkpoint ${counted(targets.length, "container")} in ${counted(namespaces, "namespace")}`,
      "rerun with --yes to confirm",
    );
  if (!(await context.ask.confirm(say`Checkpoint all ${targets.length} containers?`))) throw new Interrupted("SIGINT");
}

function podLine(targets: readonly ContainerTarget[], withNamespace: boolean): Phrase {
  const [{ pod }] = targets as readonly [ContainerTarget];
  const names = joined(
    targets.map(({ container }) => container.name),
    ", ",
  );
  return say`  ${withNamespace ? `${pod.namespace}/${pod.name}` : pod.name} (${pod.node || "no node"}): ${names}`;
}

const FORECAST_MS = 500;
/** Of several pods that were picked, so many are named. */
const PODS_NAMED = 3;
const HERE = { destination: undefined, force: false, codec: "auto" } as const;

/**
 * Asks for the destination of the archives of containers that were picked. A privileged pod is created only after it was confirmed.
 * Undefined: back to the picker. Throws an Interrupted where nothing is to be done.
 */
export async function offerCopy(
  context: FlowContext,
  targets: readonly ContainerTarget[],
  settings: HelperSettings,
  yes: boolean,
): Promise<{ readonly copy: CopyOptions | undefined } | undefined> {
  const { ask } = context;
  const what = await question(context, targets);
  const the = nodesOf(targets).length === 1 ? say`the node` : say`the nodes`;
  for (;;) {
    const chosen = await ask.choose<CopyOptions | "leave" | "cancel">(what, [
      { value: { ...HERE, remove: true }, label: say`copy here and remove from ${the}` },
      { value: { ...HERE, remove: false }, label: say`copy here` },
      { value: "leave", label: say`leave ${targets.length === 1 ? "it" : "them"} on ${the}` },
      { value: "cancel", label: say`cancel` },
    ]);
    if (chosen === undefined) return undefined;
    const { value } = chosen;
    if (value === "cancel") throw new Interrupted("SIGINT");
    if (value === "leave") return { copy: undefined };
    if (yes) return { copy: value };
    // Whoever does not want that chooses again.
    if (await agreesToHelpers(context, targets, settings)) return { copy: value };
  }
}

/** Whether the privileged pods may be created that copies need. */
export async function agreesToHelpers(
  context: FlowContext,
  targets: readonly ContainerTarget[],
  settings: HelperSettings,
): Promise<boolean> {
  const helpers = new Helpers(context.connection, context, settings);
  const nodes = nodesOf(targets);
  const pods =
    nodes.length === 1
      ? say`a privileged helper pod on ${nodes[0] ?? ""}`
      : say`privileged helper pods on ${counted(nodes.length, "node")}`;
  const place = say`namespace ${await helpers.namespace()}, image ${settings.image}`;
  return await context.ask.confirm(say`The copy needs ${pods} (${place}). Create ${nodes.length === 1 ? "it" : "them"}?`);
}

function nodesOf(targets: readonly ContainerTarget[]): string[] {
  return [...new Set(targets.map(({ pod }) => pod.node))];
}

/** What would be checkpointed, how much that is and how long it is paused for. */
export async function question({ connection }: FlowContext, targets: readonly ContainerTarget[]): Promise<Phrase> {
  const [first] = targets;
  if (first === undefined || targets.length > 1) {
    const pods = [...new Set(targets.map(({ pod }) => pod.name))];
    const named = joined(pods.slice(0, PODS_NAMED), ", ");
    return say`Checkpoint ${counted(targets.length, "container")} of ${named}${pods.length > PODS_NAMED ? say` and ${pods.length - PODS_NAMED} more pods` : say``}:`;
  }
  const { pod, container } = first;
  const target = { node: pod.node, namespace: pod.namespace, pod: pod.name, container: container.name };
  const { memoryBytes } = await forecast(connection, target, FORECAST_MS);
  return say`Checkpoint container ${container.name} of pod/${pod.name} on ${pod.node}${expectation(memoryBytes)}:`;
}

function expectation(memoryBytes: number | undefined): Phrase {
  if (memoryBytes === undefined) return say``;
  return say` (about ${formatBytes(memoryBytes)}, paused for up to ${formatSeconds(pausedSeconds(memoryBytes))})`;
}
