import { HELPER_FLAGS, NODE_FLAG } from "./helper-flags.ts";
import { ALL_NAMESPACES_FLAG, CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const lsVerb: Verb = {
  name: "ls",
  summary: "List the archives on the nodes",
  usage: ["ls [POD] [--node NODE]... [-A] [options]"],
  description: `List the archives in the nodes' checkpoint directories: of the current namespace, or of all with -A. COMPLETE says
whether an archive ends as a finished one does, and is not being written.

A privileged pod on each node, alive only for the moment, looks into that one directory; it is asked about first. The name of an
archive tells its pod. Where it leaves open which namespace and container, the archive's own metadata decide, read without copying
it; files for which nothing decides are listed with -A only. A node that cannot be asked is reported, and the others are listed: exit
status 3.`,
  examples: [
    { what: "Archives of this namespace, on all nodes", command: "kubectl checkpoint ls" },
    { what: "Of one pod, on one node", command: "kubectl checkpoint ls nginx --node node1" },
    { what: "Everything that takes space", command: "kubectl checkpoint ls -A -o wide --yes" },
    {
      what: "Copy the newest one of a pod",
      command: "kubectl checkpoint ls nginx --yes -o name | tail -n 1 | xargs kubectl checkpoint cp",
    },
    {
      what: "Bytes by node",
      command: "kubectl checkpoint ls -A --yes -o json | jq '.items | group_by(.node)[] | {node: .[0].node, bytes: (map(.bytes) | add)}'",
    },
  ],
  flags: [NODE_FLAG, ALL_NAMESPACES_FLAG, outputFlag("wide", "name", "json", "yaml")],
  sharedFlags: [HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/ls.ts"),
};
