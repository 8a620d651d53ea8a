import type { FlowContext } from "../../flows/context.ts";
import type { ContainerTarget } from "../../flows/capture/targets/target.ts";
import { Helpers } from "../../helper/helpers.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { forecast, frozenSeconds } from "../../kubelet/forecast.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../model/units.ts";
import type { CopyOptions } from "./request.ts";

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
  return say` (about ${formatBytes(memoryBytes)}, frozen for about ${formatSeconds(frozenSeconds(memoryBytes))})`;
}
