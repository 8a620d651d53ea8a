import type { FlowContext } from "../flows/context.ts";
import type { ListedArchive } from "../flows/collect/nodes/archive.ts";
import { agreeToPods } from "../flows/consent.ts";
import { held, nodesMeant, onNodes } from "../flows/collect/nodes/each.ts";
import { listArchives } from "../flows/collect/nodes/list.ts";
import { toPrune, type Retention } from "../flows/collect/nodes/prune.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { exitCodeFor, usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { say } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { parseCount, parseDuration } from "../model/units.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";
import { dryRunOf } from "./dry-run.ts";
import { helperSettings } from "./helper-settings.ts";
import { removalList, removeAgreed, wouldRemove } from "./removal.ts";

export interface PruneRequest {
  readonly retention: Retention;
  /** None: all. */
  readonly nodes: readonly string[];
  readonly allNamespaces: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly settings: HelperSettings;
}

/** Throws a usage error. */
export function pruneRequest(words: readonly string[], flags: Flags, env: NodeJS.ProcessEnv): PruneRequest {
  if (words.length > 0) throw usageError(`prune takes no names: "${words[0]}"`, "kubectl checkpoint rm NODE:ARCHIVE removes one");
  const [keep, olderThan] = [flags.text("keep"), flags.text("older-than")];
  if (keep === undefined && olderThan === undefined)
    throw usageError("what shall stay?", "give --keep N (of each container), --older-than D, or both");
  return {
    retention: {
      keep: keep === undefined ? undefined : parseCount(keep, "--keep", 0),
      olderThanMs: olderThan === undefined ? undefined : parseDuration(olderThan, "--older-than"),
    },
    nodes: flags.list("node"),
    allNamespaces: flags.on("all-namespaces"),
    dryRun: dryRunOf(flags) !== undefined,
    yes: flags.on("yes"),
    settings: helperSettings(flags, env),
  };
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = pruneRequest(call.words, call.flags, call.env);
  const { retention, dryRun, yes, settings } = request;
  const context: FlowContext = { ...call, connection: await connect(call) };
  const helpers = new Helpers(context.connection, call, settings);
  const nodes = await nodesMeant(context, request.nodes, helpers);
  const access = dryRun ? "read" : "write";
  await agreeToPods(context, helpers, settings, nodes, yes);
  await using _held = held(helpers, nodes, access);

  const namespace = request.allNamespaces ? undefined : context.connection.namespace;
  const all: ListedArchive[] = [];
  const unreachable = await onNodes(context, helpers, nodes, access, async (helper) => {
    const archives = await listArchives(context, helper, settings.checkpointDir, { namespace, pod: undefined });
    all.push(...archives.filter((one) => namespace === undefined || one.namespace === namespace));
  });
  for (const { error } of unreachable) yield { error };
  const going = toPrune(all, retention, call.now());
  if (going.length === 0) call.emit({ kind: "hint", text: say`nothing to prune: ${all.length} archives stay` });
  const { items, errors } =
    going.length === 0 ? { items: [], errors: [] } : yield* dryRun ? wouldRemove(going) : removeAgreed(context, helpers, going, yes);
  const failures = [...unreachable.map(({ error }) => error), ...errors];
  // Where archives go, those count; that a node could be listed is no success by itself.
  const count = items.length === 0 ? nodes.length : unreachable.length + items.length;
  return { document: removalList(items), exitCode: exitCodeFor(failures, count) };
}
