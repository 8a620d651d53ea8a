import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { held } from "../flows/collect/nodes/each.ts";
import { findNamed, type Found } from "../flows/collect/nodes/remove.ts";
import { agreeToPods } from "../flows/consent.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import type { RemovalItem } from "../model/archives.ts";
import { itemError } from "../model/documents.ts";
import { exitCodeFor, usageError } from "../model/error.ts";
import { location, type NodeArchive } from "../model/location.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, output, REMOVAL_DRY_RUN } from "./shared/common.ts";
import { HELPER, helperSettings, parseNodeArchive } from "./shared/helper-pods.ts";
import { removalList, removeAgreed, wouldRemove } from "./shared/removal.ts";
import { defineVerb } from "./shared/verb.ts";

export interface RmRequest {
  /** None twice. */
  readonly archives: readonly NodeArchive[];
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly settings: HelperSettings;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "rm",
  summary: "Remove archives from the nodes",
  usage: ["rm NODE:ARCHIVE... [options]"],
  description: `Remove archives from the checkpoint directories of the nodes. This cannot be undone. ARCHIVE is an exact file name or its full path
there, as "kubectl checkpoint ls -o name" prints it; patterns are not expanded. Only regular files directly in that directory are removed.

You are asked to confirm the privileged helper pods and the removal; --yes confirms both. An archive that may still be written is not
removed until an hour after its last change.`,
  examples: [
    { what: "Remove one archive", command: "kubectl checkpoint rm node1:checkpoint-nginx_default-nginx-2026-11-24T06:10:21Z.tar" },
    {
      what: "Remove all archives of a pod",
      command: "kubectl checkpoint ls nginx --yes -o name | xargs -d '\\n' kubectl checkpoint rm --yes",
    },
    { what: "Show what would be removed", command: "kubectl checkpoint rm node1:checkpoint-a.tar --dry-run=client --yes" },
  ],
  flags: { "dry-run": REMOVAL_DRY_RUN, output: output("name", "json", "yaml"), ...HELPER, ...CLUSTER, ...COMMON },
  request(words, flags, env): RmRequest {
    const settings = helperSettings(flags, env);
    if (words.length === 0) throw usageError("NODE:ARCHIVE is required", "list the archives with: kubectl checkpoint ls -o name");
    const archives = words.map((word) => parseNodeArchive(word, settings.checkpointDir));
    return {
      archives: [...new Map(archives.map((archive) => [location(archive), archive])).values()],
      dryRun: flags["dry-run"] !== undefined,
      yes: flags.yes,
      settings,
      cluster: connectionOptions(flags),
    };
  },
  async *run({ archives, dryRun, yes, settings, cluster }, call) {
    const context = await connected(cluster, call);
    const helpers = new Helpers(context.connection, call, settings);
    const nodes = [...new Set(archives.map(({ node }) => node))];
    const access = dryRun ? "read" : "write";
    await agreeToPods(context, helpers, settings, nodes, yes);
    await using _held = held(helpers, nodes, access);
    const found = await findNamed(context, helpers, archives, access);
    const wrong = found.flatMap(({ error }) => error ?? []);
    for (const error of wrong) yield { error };
    const good = found.flatMap(({ archive, error }) => (archive === undefined || error !== undefined ? [] : [archive]));
    const { items, errors } =
      good.length === 0 ? { items: [], errors: [] } : yield* dryRun ? wouldRemove(good) : removeAgreed(context, helpers, good, yes);
    const all = [...items, ...found.flatMap(notRemoved)];
    return { document: removalList(all), exitCode: exitCodeFor([...wrong, ...errors], archives.length) };
  },
});

function notRemoved({ named: { node, path }, archive, error }: Found): RemovalItem[] {
  if (error === undefined) return [];
  return [
    { node, path, ...(archive === undefined ? {} : { bytes: archive.file.bytes }), removed: false, error: itemError("remove", error) },
  ];
}
