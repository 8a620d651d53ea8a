import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import type { ListedArchive } from "../flows/collect/nodes/archive.ts";
import { held, nodesMeant, onNodes } from "../flows/collect/nodes/each.ts";
import { listArchives } from "../flows/collect/nodes/list.ts";
import { toPrune, whyKept, type Retention } from "../flows/collect/nodes/prune.ts";
import { agreeToPods } from "../flows/consent.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { exitCodeFor, usageError } from "../model/error.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";
import { counted, formatAge } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { ALL_NAMESPACES, COMMON, NODES, output, REMOVAL_DRY_RUN } from "./shared/common.ts";
import { count, duration } from "./shared/flags.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { removalList, removeAgreed, wouldRemove } from "./shared/removal.ts";
import { defineVerb } from "./shared/verb.ts";

export interface PruneRequest {
  readonly retention: Retention;
  /** None: all. */
  readonly nodes: readonly string[];
  readonly allNamespaces: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly settings: HelperSettings;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "prune",
  summary: "Remove old archives from the nodes",
  usage: ["prune (--keep N | --older-than D | both) [--node NODE]... [-A] [options]"],
  description: `Remove old archives of the current namespace, or of all with -A. --keep N keeps the newest N archives of each container over all
nodes; --older-than D removes only archives that are older than D. With both, an archive is removed if both apply.

Archives whose container is unknown are never removed. Incomplete archives are removed an hour after their last change at the earliest,
and do not count as one of the newest N. The plan is shown for confirmation; --dry-run=client only shows it.`,
  examples: [
    { what: "Show what would be removed", command: "kubectl checkpoint prune -A --keep 3 --older-than 7d --dry-run=client --yes" },
    { what: "Keep the three newest archives of each container", command: "kubectl checkpoint prune --keep 3" },
    { what: "In a cron job", command: "kubectl checkpoint prune -A --older-than 30d --yes -o json" },
  ],
  flags: {
    keep: count({ value: "N", least: 0, help: "the newest N archives of each container stay" }),
    "older-than": duration("archives younger than this stay: 12h, 7d"),
    node: NODES,
    "all-namespaces": ALL_NAMESPACES,
    "dry-run": REMOVAL_DRY_RUN,
    output: output("name", "json", "yaml"),
    ...HELPER,
    ...CLUSTER,
    ...COMMON,
  },
  request(words, flags, env): PruneRequest {
    if (words.length > 0)
      throw usageError(
        say`unexpected argument "${words[0] ?? ""}": prune takes none`,
        "to remove one archive: kubectl checkpoint rm NODE:ARCHIVE",
      );
    const retention = { keep: flags.keep, olderThanMs: flags["older-than"] };
    if (retention.keep === undefined && retention.olderThanMs === undefined) throw usageError("--keep or --older-than is required");
    return {
      retention,
      nodes: flags.node,
      allNamespaces: flags["all-namespaces"],
      dryRun: flags["dry-run"] !== undefined,
      yes: flags.yes,
      settings: helperSettings(flags, env),
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const { retention, dryRun, yes, settings } = request;
    const context = await connected(request.cluster, call);
    const helpers = new Helpers(context.connection, call, settings);
    const nodes = await nodesMeant(context, request.nodes, helpers);
    const access = dryRun ? "read" : "write";
    await agreeToPods(context, helpers, settings, nodes, yes);
    await using _held = held(helpers, nodes, access);

    const namespace = request.allNamespaces ? undefined : context.connection.namespace;
    const all: ListedArchive[] = [];
    const unreachable = await onNodes(context, helpers, nodes, access, async (directory) => {
      const archives = await listArchives(context, directory, { namespace, pods: undefined });
      const isMeant = (one: ListedArchive): boolean => one.elsewhere !== true && (one.namespace ?? namespace) === namespace;
      all.push(...archives.filter((one) => namespace === undefined || isMeant(one)));
    });
    for (const { error } of unreachable) yield { error };
    const going = toPrune(all, retention, call.now());
    const kept = keptText(all, going, retention, call.now());
    if (going.length === 0) call.emit({ kind: "hint", text: joined([say`no archives to remove`, ...kept], "\n") });
    const { items, errors } =
      going.length === 0 ? { items: [], errors: [] } : yield* dryRun ? wouldRemove(going) : removeAgreed(context, helpers, going, yes);
    if (going.length > 0) for (const text of kept) call.emit({ kind: "hint", text });
    const failures = [...unreachable.map(({ error }) => error), ...errors];
    // Where archives are removed, only they count: listing a node is not a success by itself.
    const count = items.length === 0 ? nodes.length : unreachable.length + items.length;
    return { document: removalList(items), exitCode: exitCodeFor(failures, count) };
  },
});

/** How many stay, and why; nothing where there is none. */
function keptText(all: readonly ListedArchive[], going: readonly ListedArchive[], retention: Retention, now: number): Phrase[] {
  const kept = whyKept(all, going, retention, now);
  const { keep = 0, olderThanMs = 0 } = retention;
  const reasons = {
    newest: say`among the newest ${keep} of their container`,
    young: say`younger than ${formatAge(olderThanMs)}`,
    written: say`incomplete, and might still be written`,
    unknown: say`of an unknown container: never removed (kubectl checkpoint rm NODE:ARCHIVE does)`,
  };
  const stay = all.length - going.length;
  if (stay === 0) return [];
  return [
    say`${counted(stay, "archive")} kept: ${joined(
      [...kept].map(([why, count]) => say`${count} ${reasons[why]}`),
      "; ",
    )}`,
  ];
}
