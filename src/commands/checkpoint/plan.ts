import type { FlowContext } from "../../flows/context.ts";
import type { CopyPlan } from "../../flows/collect/copy/captured.ts";
import type { CheckpointRequest } from "./request.ts";

/** What --copy asks for, ready to be done; what copies is loaded only here. Throws where there is no such directory. */
export async function planOf(context: FlowContext, { copy, settings }: CheckpointRequest, several: boolean): Promise<CopyPlan | undefined> {
  if (copy === undefined) return undefined;
  const [{ Helpers }, { openDestination }] = await Promise.all([import("../../helper/helpers.ts"), import("../../local/destination.ts")]);
  // Told before anything is done.
  await (await openDestination(copy.destination, several))[Symbol.asyncDispose]();
  const helpers = new Helpers(context.connection, context, settings);
  return { ...copy, helpers, checkpointDir: settings.checkpointDir, several };
}
