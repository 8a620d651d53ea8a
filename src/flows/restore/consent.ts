import { joined, say } from "../../model/phrase.ts";
import { powersOf } from "../../restore/powers.ts";
import type { FlowContext } from "../context.ts";
import { agreeTo } from "../consent.ts";
import type { RestorePlan } from "./plan.ts";

/**
 * Asks before a pod is made that has power over its node or the cluster: its manifest comes with the archive or the image, and may
 * be anybody's. `yes` is --yes. Throws as agreeTo does.
 */
export async function agreeToPowers(context: FlowContext, plan: RestorePlan, node: string | undefined, yes: boolean): Promise<void> {
  const powers = powersOf(plan.pod).map(({ what }) => what);
  if (yes || powers.length === 0) return;
  const { name, namespace, image } = plan;
  const where = node === undefined ? say`` : say` on ${node}`;
  await agreeTo(
    context,
    say`pod/${name} in namespace ${namespace}${where}, restored from ${image}, has privileges beyond its container: ${joined(powers, "; ")}. Create it?`,
    {
      message: say`pod/${name} in namespace ${namespace}${where}, restored from ${image}, has privileges beyond its container: ${joined(powers, "; ")}`,
    },
  );
}
