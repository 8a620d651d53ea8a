import { COMPRESS_CHOICES, DRY_RUN_FLAG, HELPER_FLAGS } from "./helper-flags.ts";
import { CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const cpVerb: Verb = {
  name: "cp",
  summary: "Copy archives from nodes to this machine, verified",
  usage: ["cp NODE:ARCHIVE... [DEST] [--force] [--compress auto|zstd|lzop|gzip|none] [--remove] [options]"],
  description: `Copy archives from nodes to this machine. ARCHIVE is a file name in the node's checkpoint directory, or its full
path there, as kubectl checkpoint prints it. DEST is a directory, a file name, or "-" for standard output; without it, the
working directory.

A privileged pod on the node, alive only as long as the copy, serves the files on its own loopback; they travel through the API
server, compressed where that is faster. Size and SHA-256 are computed on the node and here, from the bytes on the disk, before
the file gets its name. A copy that was cut off goes on where it ended when it is run again. Beside FILE stands FILE.json: the
record that proves later what was copied, when, by whom.`,
  examples: [
    { what: "Into the working directory", command: "kubectl checkpoint cp node1:checkpoint-nginx_default-nginx-2026-11-24T06:10:21Z.tar" },
    {
      what: "Into a directory, and then off the node",
      command: "kubectl checkpoint cp node1:/var/lib/kubelet/checkpoints/checkpoint-a.tar evidence/ --remove",
    },
    { what: "To another program", command: "kubectl checkpoint cp node1:checkpoint-a.tar - | age -r age1... >a.tar.age" },
    {
      what: "The helper pods that would be made, one a node; with --remove, one more that writes",
      command: "kubectl checkpoint cp node1:checkpoint-a.tar --dry-run=client -o yaml",
    },
  ],
  flags: [
    { name: "force", takes: "nothing", help: "replace a file that is there already" },
    {
      name: "compress",
      takes: "value",
      value: COMPRESS_CHOICES.join("|"),
      choices: COMPRESS_CHOICES,
      help: "compression on the way (default auto: what is fastest on this link)",
    },
    { name: "remove", takes: "nothing", help: "remove the archive from the node, once the copy is verified and on the disk" },
    DRY_RUN_FLAG,
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/cp.ts"),
};
