import type { ContainerTarget } from "../../flows/capture/targets/containers.ts";
import type { CopyOptions } from "./request.ts";
import type { Expectations } from "../../flows/capture/run/expect.ts";
import type { FlowContext } from "../../flows/context.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { Helpers } from "../../helper/helpers.ts";
import { Interrupted, usageError } from "../../model/error.ts";
import { forecast, pausedSeconds } from "../../kubelet/forecast.ts";
import { counted, formatBytes, formatSeconds } from "../../model/units.ts";
import { joined, say, type Phrase } from "../../model/phrase.ts";

/** More than this is asked about first. */
const UNASKED = 20;
/** Pods that the list shows by name. */
const LISTED = 50;

/** Shows what matched, before anything is done. Many containers, or more than one namespace, are asked about; where nobody can be asked, --yes has to be given. */
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
      `${targets.length} containers in ${counted(namespaces, "namespace")} would be checkpointed`,
      "give --yes if that is what is meant",
    );
  if (!(await context.ask.confirm(say`Checkpoint them all?`))) throw new Interrupted("SIGINT");
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

/** After a container was picked: what shall become of its archive. A privileged pod is made only after it was named and agreed to. */
export async function offerCopy(
  context: FlowContext,
  { pod, container }: ContainerTarget,
  settings: HelperSettings,
  yes: boolean,
): Promise<CopyOptions | undefined> {
  const { ask, connection } = context;
  const target = { node: pod.node, namespace: pod.namespace, pod: pod.name, container: container.name };
  const { memoryBytes } = await forecast(connection, target, FORECAST_MS);
  const what = say`container ${container.name} of pod/${pod.name} on ${pod.node}${expectation(memoryBytes)}: its archive?`;
  const choice = await ask.choose<CopyOptions | undefined>(what, [
    { value: { ...HERE, remove: true }, label: say`copy here and remove from the node` },
    { value: { ...HERE, remove: false }, label: say`copy here` },
    { value: undefined, label: say`leave it on the node` },
  ]);
  if (choice === undefined || yes) return choice;
  const helpers = new Helpers(connection, context, settings);
  const pods = say`a privileged pod on ${pod.node} (namespace ${await helpers.namespace()}, image ${settings.image}) for as long as the copy takes`;
  return (await ask.confirm(say`The copy needs ${pods}: make it?`)) ? choice : undefined;
}

function expectation(memoryBytes: number | undefined): Phrase {
  if (memoryBytes === undefined) return say``;
  return say` (about ${formatBytes(memoryBytes)}, paused for up to about ${formatSeconds(pausedSeconds(memoryBytes))})`;
}
