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
const HERE = { destination: undefined, force: false, codec: "auto" } as const;

/** Asks for the destination of the archive of a container that was picked. A privileged pod is created only after it was confirmed. */
export async function offerCopy(
  context: FlowContext,
  { pod, container }: ContainerTarget,
  settings: HelperSettings,
  yes: boolean,
): Promise<CopyOptions | undefined> {
  const { ask, connection } = context;
  const target = { node: pod.node, namespace: pod.namespace, pod: pod.name, container: container.name };
  const { memoryBytes } = await forecast(connection, target, FORECAST_MS);
  const what = say`Checkpoint container ${container.name} of pod/${pod.name} on ${pod.node}${expectation(memoryBytes)}:`;
  const choice = await ask.choose<CopyOptions | undefined>(what, [
    { value: { ...HERE, remove: true }, label: say`copy here and remove from the node` },
    { value: { ...HERE, remove: false }, label: say`copy here` },
    { value: undefined, label: say`leave it on the node` },
  ]);
  if (choice === undefined || yes) return choice;
  const helpers = new Helpers(connection, context, settings);
  const pods = say`a privileged helper pod on ${pod.node} (namespace ${await helpers.namespace()}, image ${settings.image})`;
  return (await ask.confirm(say`The copy needs ${pods}. Create it?`)) ? choice : undefined;
}

function expectation(memoryBytes: number | undefined): Phrase {
  if (memoryBytes === undefined) return say``;
  return say` (about ${formatBytes(memoryBytes)}, paused for up to ${formatSeconds(pausedSeconds(memoryBytes))})`;
}
