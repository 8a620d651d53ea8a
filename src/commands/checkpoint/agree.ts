import type { FlowContext } from "../../flows/context.ts";
import type { Expectations } from "../../flows/capture/run/expect.ts";
import type { ContainerTarget } from "../../flows/capture/targets/target.ts";
import { Interrupted, usageError } from "../../model/error.ts";
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

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
