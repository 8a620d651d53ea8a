import { HELPER_FLAGS, REMOVAL_DRY_RUN_FLAG } from "./helper-flags.ts";
import { CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const rmVerb: Verb = {
  name: "rm",
  summary: "Remove archives from the nodes",
  usage: ["rm NODE:ARCHIVE... [--dry-run=client] [options]"],
  description: `Remove archives from the nodes' checkpoint directories, for good. ARCHIVE is the exact file name, or its full path
there, as "kubectl checkpoint ls -o name" prints it: nothing in it is a pattern. Only files in that directory itself can be removed;
links are neither followed nor touched.

It is asked about first, the privileged pods that do it and then the removal; --yes answers both. An archive that may still be being
written stays, until an hour after its last change.`,
  examples: [
    { what: "One archive", command: "kubectl checkpoint rm node1:checkpoint-nginx_default-nginx-2026-11-24T06:10:21Z.tar" },
    {
      what: "All of a pod",
      command: "kubectl checkpoint ls nginx --yes -o name | xargs -d '\\n' kubectl checkpoint rm --yes",
    },
    { what: "Is it there, and how large?", command: "kubectl checkpoint rm node1:checkpoint-a.tar --dry-run=client --yes" },
  ],
  flags: [REMOVAL_DRY_RUN_FLAG, outputFlag("name", "json", "yaml")],
  sharedFlags: [HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/rm.ts"),
};
