import type { Helpers } from "../../../helper/helpers.ts";
import { itemError, type CheckpointItem } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { object, string } from "../../../model/json.ts";
import { command, say } from "../../../model/phrase.ts";
import type { Captured } from "../../capture/one.ts";
import type { FlowContext } from "../../context.ts";
import { helperRights, withMissingRights } from "../../rights.ts";
import type { ContainerTarget } from "../../capture/targets/containers.ts";
import type { BroughtVolumes } from "../volumes/bring.ts";
import { copyArchive, copyPath, type CopyOutcome } from "./copy.ts";
import type { CopyPlan } from "./prepare.ts";

/** Brings the archive of a capture here; the capture with what became of it. Throws no UserError: it is in what comes back. */
export async function copyCaptured(context: FlowContext, { pod }: ContainerTarget, captured: Captured, plan: CopyPlan): Promise<Captured> {
  const { archive, item } = captured;
  if (archive === undefined) return captured;
  // Of a resumed run the pod may be another one by now, or not be there any more: it proves nothing.
  const isTheSame = string(object(pod.object["metadata"])["uid"]) === item.podUID;
  const brought = isTheSame ? volumesOf(context, pod, item.container, plan) : undefined;
  const request = {
    ...plan,
    archive,
    facts: { item, ...(isTheSame ? { pod: pod.object } : {}) },
    made: true,
    broughtVolumes: brought?.catch(() => undefined),
  };
  const copied = await copyArchive(context, plan.helpers, request).finally(async () => await request.broughtVolumes);
  const outcome = await withVolumes(await withRights(context, plan.helpers, copied), brought);
  // The same command again would make another checkpoint.
  if (plan.again !== undefined && outcome.copy === undefined && !context.signal.aborted)
    context.emit({
      kind: "hint",
      text: say`the archive is on ${archive.node}; to copy it: ${plan.again(archive, copyPath(plan, archive))}`,
    });
  return { ...captured, item: withOutcome(item, outcome), ...(outcome.failure === undefined ? {} : { error: outcome.failure.error }) };
}

/** Beside the copy of the archive; undefined where none are asked for, or the pod has none. */
function volumesOf(
  context: FlowContext,
  pod: ContainerTarget["pod"],
  container: string,
  plan: CopyPlan,
): Promise<BroughtVolumes> | undefined {
  const { volumes, helpers, destination, codec, evidence } = plan;
  const chosen = volumes?.of(pod);
  if (volumes === undefined || chosen === undefined) return undefined;
  const bring = async (): Promise<BroughtVolumes> => {
    const { bringVolumes } = await import("../volumes/bring.ts");
    const { directory } = destination;
    try {
      return await bringVolumes(context, { helpers, chosen, directory, codec, encryption: evidence?.encryption, large: volumes.large });
    } catch (error) {
      const names = `--volumes=${chosen.names.join(",")}`;
      const { flags = [] } = plan;
      const more = flags.length === 0 ? say`` : command` ${flags}`;
      // The namespace comes last, because one of the flags may be another.
      const again = command`kubectl checkpoint ${`pod/${pod.name}`}${more} -n ${pod.namespace} -c ${container} --copy=${directory.path} ${names}`;
      if (context.signal.aborted && plan.again !== undefined)
        context.emit({ kind: "hint", text: say`the volumes of pod/${pod.name} were not copied; a new checkpoint copies them: ${again}` });
      throw error;
    }
  };
  const brought = volumes.brought.get(pod.uid) ?? bring();
  volumes.brought.set(pod.uid, brought);
  return brought;
}

type Outcome = CopyOutcome & Pick<CheckpointItem, "volumes">;

/** The failure of the archive comes first. Throws what is no UserError. */
async function withVolumes(outcome: CopyOutcome, brought: Promise<BroughtVolumes> | undefined): Promise<Outcome> {
  if (brought === undefined) return outcome;
  try {
    return { ...outcome, volumes: (await brought).volumes };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { failure: { phase: "volumes", error }, ...outcome };
  }
}

/** The outcome, and where a right was missing all that are, as far as that can be asked now. */
async function withRights({ connection }: FlowContext, helpers: Helpers, outcome: CopyOutcome): Promise<CopyOutcome> {
  if (outcome.failure === undefined) return outcome;
  try {
    return await withMissingRights(connection, helperRights(await helpers.namespace()), outcome);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return outcome;
  }
}

function withOutcome(item: CheckpointItem, { copy, volumes, interrupted, removedFromNode, failure }: Outcome): CheckpointItem {
  return {
    ...item,
    ...(copy === undefined ? {} : { copy }),
    ...(volumes === undefined ? {} : { volumes }),
    ...(interrupted === undefined ? {} : { interrupted }),
    ...(removedFromNode === undefined ? {} : { removedFromNode }),
    ...(failure === undefined ? {} : { error: itemError(failure.phase, failure.error) }),
  };
}
