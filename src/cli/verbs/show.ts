import { COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const showVerb: Verb = {
  name: "show",
  summary: "Show what archives hold, a line each",
  usage: ["show FILE... [options]"],
  description: `Show what archives on this machine hold: pod, container, image, who made them and when, their size, how much memory
is in them and how long the processes stood still. Neither a cluster nor CRIU is needed.

FILE is an archive of containerd, CRI-O or Podman: plain, gzip or zstd, or "-" for standard input. MEMORY counts the
pages in the archive, which compression makes smaller. Podman does not write down when it made a checkpoint: the time
shown then is the one at which CRIU wrote its inventory. Volumes are not in an archive: they are named on stderr.`,
  examples: [
    { what: "All archives here", command: "kubectl checkpoint show *.tar" },
    { what: "With IDs, addresses and the size of the root file system's change", command: "kubectl checkpoint show nginx.tar -o wide" },
    {
      what: "Which of them is the pod's newest?",
      command: "kubectl checkpoint show *.tar -o json | jq -r '.items | max_by(.checkpointedAt).path'",
    },
    {
      what: "An archive that is still on a node",
      command: "kubectl checkpoint cp node1:checkpoint-nginx.tar - | kubectl checkpoint show -",
    },
  ],
  flags: [outputFlag("wide", "name", "json", "yaml")],
  sharedFlags: [COMMON_FLAGS],
  load: async () => await import("../../commands/show.ts"),
};
