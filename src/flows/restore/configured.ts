import type { Helpers } from "../../helper/helpers.ts";
import { UserError } from "../../model/error.ts";
import { inParallel } from "../../model/parallel.ts";
import { joined, say } from "../../model/phrase.ts";
import { restoresByDefault, restoreVerdict } from "../../restore/runtimes.ts";
import { parseSettings, refusedBy, type OciRuntime, type Refusal, type RuntimeSettings } from "../../restore/settings.ts";
import type { FlowContext } from "../context.ts";
import type { Target, TargetNode } from "./nodes.ts";

/** Nodes whose runtime restores or not by its configuration: by a switch, or with containerd by the OCI runtime, which has to be runc. */
export function undecided({ nodes }: Pick<Target, "nodes">): TargetNode[] {
  return nodes.filter(({ runtime }) => runtime?.name === "containerd" || restoreVerdict(runtime).restores === "maybe");
}

/** What the runtimes of nodes say of themselves: of some nodes there is more than one, as Docker's containerd. */
export type Settings = ReadonlyMap<string, readonly RuntimeSettings[]>;

/** Reads them through helper pods that change nothing. What cannot be read is a warning. */
export async function readSettings(context: FlowContext, helpers: Helpers, nodes: readonly string[]): Promise<Settings> {
  const found = new Map<string, readonly RuntimeSettings[]>();
  await inParallel(nodes, nodes.length, async (node) => void found.set(node, await settingsOn(context, helpers, node)));
  return found;
}

async function settingsOn(context: FlowContext, helpers: Helpers, node: string): Promise<RuntimeSettings[]> {
  const unknown = say`the configuration of the runtime on ${node} is unknown, and so whether the checkpoint can be restored`;
  try {
    await using host = helpers.directory(node, "host", "/");
    const found = parseSettings(await host.lines(["runtime"]));
    if (found.length === 0) context.emit({ kind: "warning", text: say`${unknown}: it could not be read` });
    return found;
  } catch (error) {
    if (context.signal.aborted || !(error instanceof UserError)) throw error;
    context.emit({ kind: "warning", text: say`${unknown}: ${error.whole}` });
    return [];
  }
}

/** The OCI runtime of pods without a runtime class on that node. */
export function ociRuntimeOn(settings: Settings, node: string): OciRuntime | undefined {
  const [first, second] = settings.get(node) ?? [];
  return second === undefined ? first?.oci : undefined;
}

/** What is to be restored, as far as the configuration of nodes decides about it. */
export interface Restorable {
  /** The OCI runtime that made the checkpoint, where that is known. */
  readonly made: OciRuntime | undefined;
  /** The pod's: then its OCI runtime is not the default one. */
  readonly runtimeClass: boolean;
}

/** Those of the nodes that are configured to restore it, as far as that was read. Throws a UserError where none is. */
export function configuredOf(nodes: readonly TargetNode[], settings: Settings, what: Restorable): TargetNode[] {
  const judged = nodes.map((node) => ({ node, refusal: refusalOn(node, settings.get(node.name) ?? [], what) }));
  const fit = judged.flatMap(({ node, refusal }) => (refusal === undefined ? [node] : []));
  const refusals = judged.flatMap(({ refusal }) => refusal ?? []);
  const [first] = refusals;
  if (fit.length > 0 || first === undefined) return fit;
  const [only, second] = nodes;
  const which = only === undefined || second !== undefined ? say`no node can` : say`${only.name} cannot`;
  throw new UserError({
    reason: first.reason,
    message: say`${which} restore this checkpoint; nothing was created`,
    why: joined(
      refusals.map(({ why }) => why),
      "\n",
    ),
    fix: first.fix,
  });
}

function refusalOn(
  { name, runtime }: TargetNode,
  settings: readonly RuntimeSettings[],
  { made, runtimeClass }: Restorable,
): Refusal | undefined {
  const refusals = settings
    .filter((one) => one.name === (runtime?.name ?? one.name))
    .map((one) => refusedBy(name, runtime, runtimeClass ? { ...one, oci: undefined } : one, made));
  // Which of several is the kubelet's is unknown: only what all of them say counts.
  return refusals.includes(undefined) ? undefined : refusals[0];
}

const NAMED = 8;

/** What is said where nobody looks at the configuration: of nodes that do not restore unless it says so, as far as known. */
export function warnOfUndecided({ emit }: FlowContext, nodes: readonly TargetNode[]): void {
  const verdicts = nodes
    .map(({ name, runtime }) => ({ name, ...restoreVerdict(runtime) }))
    .filter((verdict) => !restoresByDefault(verdict));
  for (const reason of new Set(verdicts.map(({ why = "" }) => why))) {
    const names = verdicts.filter(({ why = "" }) => why === reason).map(({ name }) => name);
    const more = names.length > NAMED ? say` and ${names.length - NAMED} more` : say``;
    const whether = say`whether ${joined(names.slice(0, NAMED), ", ")}${more} can restore it is unknown: ${reason}`;
    const fix =
      names.length === 1 ? say`; with --yes, a helper pod reads its configuration` : say`; with --node and --yes, a helper pod reads it`;
    emit({ kind: "warning", text: say`${whether}${fix}` });
  }
}
