import { DRY_RUN_FLAG, HELPER_FLAGS } from "./helper-flags.ts";
import { REGISTRY_FLAGS } from "./registry-flags.ts";
import { EXPLAIN_FLAG, IMAGE_FLAG } from "./restore.ts";
import { CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const moveVerb: Verb = {
  name: "move",
  summary: "Move a running pod to another node, memory and all",
  usage: ["move POD --to NODE --image REFERENCE [-c NAME] [--name NAME] [--force] [options]"],
  description: `Move a running pod to another node: its container is checkpointed, the checkpoint pushed as the image REFERENCE (through this
machine, without touching its disk), restored on NODE in a pod with the same labels, annotations and probes, and only when it
runs there, the original is deleted. On any failure the original stays, and the new pod is removed.

What the original does between its freeze and its deletion is lost: the time of the freeze is shown, and confirmed before the
original is deleted. Network connections do not move: clients reconnect, to a new address. The new pod is called POD-NODE.

Refused without --force: pods of a controller (it would make another one), ReadWriteOnce volumes (only one node can have them),
emptyDir volumes with files in them (they stay behind), generic ephemeral volumes (they go with the original), and several
containers (the others start anew).`,
  examples: [
    { what: "To another node", command: "kubectl checkpoint move redis --to node2 --image registry.local:5000/moves/redis:1" },
    {
      what: "See what would be created",
      command: "kubectl checkpoint move redis --to node2 --image registry.local:5000/moves/redis:1 --dry-run=client -o yaml",
    },
    {
      what: "In a script, from a registry with a CA of its own",
      command: "kubectl checkpoint move redis --to node2 --image registry.local:5000/moves/redis:1 --ca-file ca.crt --yes -o json",
    },
  ],
  flags: [
    { name: "to", takes: "value", value: "NODE", help: "node to move it to" },
    IMAGE_FLAG,
    {
      name: "container",
      short: "c",
      takes: "values",
      value: "NAME",
      help: "container to move (default: the only one, or the pod's default container)",
    },
    { name: "name", takes: "value", value: "NAME", help: "name of the new pod (default: the old one's with the node's)" },
    { name: "force", takes: "nothing", help: "move it although something is lost" },
    EXPLAIN_FLAG,
    DRY_RUN_FLAG,
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [REGISTRY_FLAGS, HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/move.ts"),
};
