import { HELPER_FLAGS, NODE_FLAG, REMOVAL_DRY_RUN_FLAG } from "./helper-flags.ts";
import { ALL_NAMESPACES_FLAG, CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const pruneVerb: Verb = {
  name: "prune",
  summary: "Remove old archives from the nodes",
  usage: ["prune (--keep N | --older-than D | both) [--node NODE]... [-A] [--dry-run=client] [options]"],
  description: `Remove the archives of each container but the newest N, wherever they lie among the nodes asked (--keep), those that
are older than a time (--older-than), or those that are both. Of the current namespace, or of all with -A.

What stays in any case: archives whose container cannot be told for certain, and unfinished ones until an hour after their last
change; an unfinished one never takes the place of a whole one. The plan is shown and asked about first; --dry-run=client only shows it.`,
  examples: [
    { what: "What would go?", command: "kubectl checkpoint prune -A --keep 3 --older-than 7d --dry-run=client --yes" },
    { what: "The three newest of each container stay", command: "kubectl checkpoint prune --keep 3" },
    { what: "From a cron job", command: "kubectl checkpoint prune -A --older-than 30d --yes -o json" },
  ],
  flags: [
    { name: "keep", takes: "value", value: "N", help: "the newest N archives of each container stay" },
    { name: "older-than", takes: "value", value: "D", help: "archives younger than this stay: 12h, 7d" },
    NODE_FLAG,
    ALL_NAMESPACES_FLAG,
    REMOVAL_DRY_RUN_FLAG,
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/prune.ts"),
};
