import { COMPRESS_CHOICES, HELPER_FLAGS } from "./helper-flags.ts";
import { CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const checkpointVerb: Verb = {
  name: "checkpoint",
  summary: "Checkpoint a running container",
  usage: ["[POD] [-c NAME]... [--timeout D] [--copy[=DEST]] [--remove] [options]"],
  description: `Checkpoint a running container: its processes are frozen for a moment, their memory and state are written
to an archive on the node, and they run on. Without POD, on a terminal, you pick the container by typing.

The archive stays in the kubelet's checkpoint directory on the node, or comes to this machine with --copy, verified by size and
hash, as "kubectl checkpoint cp" does it. It is a memory dump: treat it as a secret. Volumes are not in it.`,
  examples: [
    { what: "Pick a container by typing", command: "kubectl checkpoint" },
    { what: "Checkpoint the container nginx of the pod nginx", command: "kubectl checkpoint nginx -c nginx" },
    {
      what: "For a script: the result as JSON, no longer than five minutes",
      command: "kubectl checkpoint nginx -c nginx --timeout 5m -o json",
    },
    { what: "A pod that is called like a verb", command: "kubectl checkpoint pod/version" },
  ],
  flags: [
    {
      name: "container",
      short: "c",
      takes: "values",
      value: "NAME",
      help: "container to checkpoint (default: the only one, or the pod's default container)",
    },
    { name: "timeout", takes: "value", value: "D", help: "hang up after this time, so that the kubelet cancels (default: no limit)" },
    {
      name: "copy",
      takes: "optional",
      value: "DEST",
      help: "bring the archive to this machine: to a directory, a file name, or the working directory",
    },
    { name: "remove", takes: "nothing", help: "with --copy: remove the archive from the node, once the copy is verified and on the disk" },
    { name: "force", takes: "nothing", help: "with --copy: replace a file that is there already" },
    {
      name: "compress",
      takes: "value",
      value: COMPRESS_CHOICES.join("|"),
      choices: COMPRESS_CHOICES,
      help: "with --copy: compression on the way (default auto: what is fastest on this link)",
    },
    { name: "version", takes: "nothing", help: "print the version of this plugin" },
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/checkpoint.ts"),
};
