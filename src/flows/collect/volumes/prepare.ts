import { podVolumeBytes } from "../../../kubelet/volumes.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import type { Pod } from "../../../cluster/pods.ts";
import { joined, say } from "../../../model/phrase.ts";
import { formatBytes } from "../../../model/units.ts";
import { agreeTo } from "../../consent.ts";
import type { FlowContext } from "../../context.ts";
import type { BroughtVolumes } from "./bring.ts";
import { chosenVolumes, ensureNamed, LARGE_VOLUMES, type ChosenVolumes } from "./select.ts";

/** Nobody waits longer for a forecast. */
const FORECAST_MS = 3000;

/** --volumes, ready. */
export interface VolumesPlan {
  /** Whether more than LARGE_VOLUMES of one pod was confirmed. */
  readonly large: boolean;
  /** Undefined where the pod has none. */
  of(pod: Pod): ChosenVolumes | undefined;
  /** By the pod's UID: those of a pod are brought once, however many of its containers are checkpointed. */
  readonly brought: Map<string, Promise<BroughtVolumes>>;
}

export interface VolumesOptions {
  /** Names; none for all emptyDirs. */
  readonly names: readonly string[];
  readonly checkpointDir: string;
  readonly yes: boolean;
}

/**
 * What can be known of volumes before a container is frozen: that they are emptyDirs, that the helper pod would be admitted, how large they
 * are by the kubelet's statistics; more than 1 GiB is asked about. Throws a UserError.
 */
export async function prepareVolumes(
  context: FlowContext,
  helpers: Helpers,
  given: readonly Pod[],
  { names, checkpointDir, yes }: VolumesOptions,
): Promise<VolumesPlan> {
  const pods = [...new Map(given.map((pod) => [pod.uid, pod])).values()];
  ensureNamed(
    pods.map((pod) => pod.object),
    names,
  );
  const of = (pod: Pod): ChosenVolumes | undefined => chosenVolumes(pod.object, names, checkpointDir);
  const chosen = pods.flatMap((pod) => {
    const found = of(pod);
    return found ?? [];
  });
  const [first] = chosen;
  const without = pods.filter((pod) => !chosen.some(({ podUID }) => podUID === pod.uid));
  if (without.length > 0) {
    const some = joined(
      without.slice(0, 8).map(({ name }) => say`pod/${name}`),
      ", ",
    );
    context.emit({ kind: "hint", text: say`${some}${without.length > 8 ? say` and others` : say``}: no emptyDir volumes` });
  }
  if (first === undefined) return { large: yes, of, brought: new Map() };
  const [used] = await Promise.all([
    podVolumeBytes(
      context.connection,
      chosen.map(({ node }) => node),
      FORECAST_MS,
    ),
    helpers.ensureAdmitted(first.node, "volumes", first.directory, first.names),
  ]);
  let [total, known] = [0, true];
  let large = false;
  for (const { podUID, names: own } of chosen) {
    const sizes = own.map((name) => used.get(`${podUID}/${name}`));
    known &&= sizes.every((size) => size !== undefined);
    const bytes = sizes.reduce<number>((sum, size = 0) => sum + size, 0);
    large ||= bytes > LARGE_VOLUMES;
    total += bytes;
  }
  const some = total === 0 ? say`their size is unknown` : say`at least ${formatBytes(total)}, not all sizes are known`;
  const size = known ? say`about ${formatBytes(total)}` : some;
  context.emit({ kind: "hint", text: say`volumes to copy: ${size}` });
  if (!large || yes) return { large: yes, of, brought: new Map() };
  await agreeTo(context, say`The volumes to copy have ${size}. Copy them?`, {
    message: say`the volumes to copy have ${size}; nothing was checkpointed`,
  });
  return { large: true, of, brought: new Map() };
}
