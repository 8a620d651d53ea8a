import type { Helpers } from "../../helper/helpers.ts";
import { UserError } from "../../model/error.ts";
import { joined, say } from "../../model/phrase.ts";
import { restoreVerdict } from "../../restore/runtimes.ts";
import { parseSettings, refusedBy, type OciRuntime, type Refusal, type RuntimeSettings } from "../../restore/settings.ts";
import type { FlowContext } from "../context.ts";
import type { Target, TargetNode } from "./nodes.ts";

/** Nodes whose runtime restores or not by its configuration. */
export function undecided({ nodes }: Pick<Target, "nodes">): TargetNode[] {
  return nodes.filter(({ runtime }) => restoreVerdict(runtime).restores === "maybe");
}

/** What is to be restored, as far as the configuration of nodes decides about it. */
export interface Restorable {
  /** The OCI runtime that made the checkpoint, where that is known. */
  readonly made: OciRuntime | undefined | Promise<OciRuntime | undefined>;
  /** The pod's: then its OCI runtime is not the default one. */
  readonly runtimeClass: boolean;
}

/**
 * Those of the nodes that are configured to restore it, as helper pods that change nothing read it; what cannot be read is a warning. Throws a
 * UserError where none is.
 */
export async function configuredOf(context: FlowContext, helpers: Helpers, target: Target, what: Restorable): Promise<TargetNode[]> {
  const looked = undecided(target).map(async (node) => [node, await refusalOn(context, helpers, node, what)] as const);
  const refused = new Map((await Promise.all(looked)).flatMap(([node, refusal]) => (refusal === undefined ? [] : [[node, refusal]])));
  const fit = target.nodes.filter((node) => !refused.has(node));
  const refusals = [...refused.values()];
  const [first] = refusals;
  if (fit.length > 0 || first === undefined) return fit;
  const whys = joined(
    refusals.map(({ why }) => why),
    "\n",
  );
  const [only] = target.nodes.length === 1 ? target.nodes : [];
  const message =
    only !== undefined
      ? say`${only.name} cannot restore this checkpoint; nothing was created`
      : say`no node can restore this checkpoint; nothing was created`;
  throw new UserError({ reason: first.reason, message, why: whys, fix: first.fix });
}

async function refusalOn(
  context: FlowContext,
  helpers: Helpers,
  { name, runtime }: TargetNode,
  { made, runtimeClass }: Restorable,
): Promise<Refusal | undefined> {
  const [found, by] = await Promise.all([settingsOn(context, helpers, name), made]);
  const refusals = found
    .filter((one) => one.name === (runtime?.name ?? one.name))
    .map((one) => refusedBy(name, runtime, runtimeClass ? { ...one, oci: undefined } : one, by));
  // A second containerd, as Docker's, is not the kubelet's: only what all of them say is known.
  return refusals.includes(undefined) ? undefined : refusals[0];
}

/** The OCI runtime of pods without a runtime class there; undefined where it cannot be read, which is a warning. */
export async function ociRuntimeOn(context: FlowContext, helpers: Helpers, node: string): Promise<OciRuntime | undefined> {
  const [first, second] = await settingsOn(context, helpers, node);
  return second === undefined ? first?.oci : undefined;
}

async function settingsOn(context: FlowContext, helpers: Helpers, node: string): Promise<RuntimeSettings[]> {
  const unknown = say`whether the runtime of ${node} is configured to restore is unknown`;
  try {
    await using host = helpers.directory(node, "host", "/");
    const found = parseSettings(await host.lines(["runtime"]));
    if (found.length === 0) context.emit({ kind: "warning", text: say`${unknown}: its configuration could not be read` });
    return found;
  } catch (error) {
    if (context.signal.aborted || !(error instanceof UserError)) throw error;
    context.emit({ kind: "warning", text: say`${unknown}: ${error.whole}` });
    return [];
  }
}

const NAMED = 8;

/** What is said where nobody looks at the configuration: of nodes that do not restore unless it says so, as far as known. */
export function warnOfUndecided({ emit }: FlowContext, nodes: readonly TargetNode[]): void {
  const verdicts = nodes.map(({ name, runtime }) => ({ name, ...restoreVerdict(runtime) })).filter(({ byDefault }) => byDefault !== true);
  for (const reason of new Set(verdicts.map(({ why = "" }) => why))) {
    const names = verdicts.filter(({ why = "" }) => why === reason).map(({ name }) => name);
    const more = names.length > NAMED ? say` and ${names.length - NAMED} more` : say``;
    const whether = say`whether ${joined(names.slice(0, NAMED), ", ")}${more} can restore it is unknown: ${reason}`;
    const fix =
      names.length === 1 ? say`; with --yes, a helper pod reads its configuration` : say`; with --node and --yes, a helper pod reads it`;
    emit({ kind: "warning", text: say`${whether}${fix}` });
  }
}
