import { getPod } from "../../cluster/pods.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { UserError } from "../../model/error.ts";
import type { FlowContext } from "../context.ts";
import type { RestorePlan } from "./plan.ts";
import { suspicions } from "./suspicions.ts";
import { watchRestore, type Restored } from "./watch.ts";
import { joined, say } from "../../model/phrase.ts";

const EXPLAIN = say`give --explain to have CRIU's log read`;

/** Where the cause of a failure of CRIU is looked for. */
export interface Explaining {
  /** Through a helper pod, in CRIU's log; undefined where nobody asked for it. */
  readonly helpers: Helpers | undefined;
  /** The archive, where it is here. */
  readonly file: string | undefined;
}

/** Watches a restore; where CRIU fails, the UserError says why as far as that can be found out. */
export async function watchExplained(context: FlowContext, plan: RestorePlan, { helpers, file }: Explaining): Promise<Restored> {
  const { namespace, name, container, image } = plan;
  const told = { namespace, pod: name, container, image };
  try {
    return await watchRestore(context, told);
  } catch (error) {
    if (!(error instanceof UserError && error.reason === "CRIUFailed")) throw error;
    if (helpers !== undefined) {
      const { explainByLog } = await import("./log.ts");
      const { node } = await getPod(context.connection, namespace, name);
      throw await explainByLog(context, helpers, told, node, error);
    }
    const causes = file === undefined ? [] : await suspicions(file, context.signal);
    const { message, fix } = error.said;
    const why = causes.length > 0 ? joined(causes, "\n") : error.said.why;
    throw new UserError({ reason: error.reason, message, why, fix: fix === undefined ? EXPLAIN : say`${fix}\n${EXPLAIN}`, cause: error });
  }
}
