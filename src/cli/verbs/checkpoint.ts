import { COMPRESS_CHOICES, DRY_RUN_FLAG, HELPER_FLAGS } from "./helper-flags.ts";
import { ALL_NAMESPACES_FLAG, CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const checkpointVerb: Verb = {
  name: "checkpoint",
  summary: "Checkpoint a running container",
  usage: [
    "[POD | TYPE/NAME]... [-c NAME]... [--all-containers] [-l SELECTOR] [--field-selector S] [-A] [--explain] [options]",
    "POD [-c NAME] --every D [--count N] [--keep N] [options]",
    "--resume RUN.json [options]",
  ],
  description: `Checkpoint running containers: the processes are frozen for a moment, their memory and state are written to an archive on
the node, and they run on. Without POD, on a terminal, you pick the container by typing. TYPE/NAME (deploy, rs, sts, ds, rc, job,
cronjob, svc) means every running pod behind it.

An archive stays in the kubelet's checkpoint directory on the node, or comes to this machine with --copy, verified by size and
hash, as "kubectl checkpoint cp" does it. It is a memory dump: treat it as a secret. Volumes are not in it.

Several containers are taken node by node side by side, one at a time on each, those of one pod back to back. What matched is shown
first; more than 20 containers, or more than one namespace, are asked about. A failure of one does not stop the others. The state of such
a run is kept in a file: --resume takes what is missing, with the targets and the --copy that the run began with.

A series (--every) goes on while the API server does not answer: such turns are missed, and said to be.`,
  examples: [
    { what: "Pick a container by typing", command: "kubectl checkpoint" },
    { what: "Checkpoint the container nginx of the pod nginx", command: "kubectl checkpoint nginx -c nginx" },
    {
      what: "For a script: the result as JSON, no longer than five minutes",
      command: "kubectl checkpoint nginx -c nginx --timeout 5m -o json",
    },
    {
      what: "Every container of every pod of a deployment, the archives here",
      command: "kubectl checkpoint deploy/web --all-containers --copy=evidence/",
    },
    { what: "By selector, in all namespaces", command: "kubectl checkpoint -l app=web -A -c 'app-*' --yes" },
    { what: "CRIU failed: why?", command: "kubectl checkpoint nginx -c nginx --explain" },
    { what: "Every ten minutes, the last six", command: "kubectl checkpoint nginx -c nginx --every 10m --keep 6 --yes" },
    { what: "A pod that is called like a verb", command: "kubectl checkpoint pod/version" },
  ],
  flags: [
    {
      name: "container",
      short: "c",
      takes: "values",
      value: "NAME",
      help: "container to checkpoint, or a glob; may be repeated (default: the only one, or the pod's default container)",
    },
    { name: "all-containers", takes: "nothing", help: "every running container of the pods" },
    { name: "selector", short: "l", takes: "value", value: "SELECTOR", help: "pods by label, as kubectl's" },
    { name: "field-selector", takes: "value", value: "S", help: "pods by field, as kubectl's: spec.nodeName=node1" },
    ALL_NAMESPACES_FLAG,
    { name: "timeout", takes: "value", value: "D", help: "hang up after this time, so that the kubelet cancels (default: no limit)" },
    {
      name: "copy",
      takes: "optional",
      value: "DEST",
      help: "bring the archive to this machine: to a directory, a file name, or the working directory",
    },
    { ...DRY_RUN_FLAG, help: "with --copy: only show the helper pods that it would make; no checkpoint is taken" },
    { name: "remove", takes: "nothing", help: "with --copy: remove the archive from the node, once the copy is verified and on the disk" },
    { name: "force", takes: "nothing", help: "go on although the archives may not fit; with --copy, replace a file that is there already" },
    {
      name: "compress",
      takes: "value",
      value: COMPRESS_CHOICES.join("|"),
      choices: COMPRESS_CHOICES,
      help: "with --copy: compression on the way (default auto: what is fastest on this link)",
    },
    {
      name: "explain",
      takes: "nothing",
      help: "where CRIU fails, read its log on the node through a privileged pod, save it here, and tell the cause",
    },
    { name: "per-node", takes: "value", value: "N", help: "checkpoints at once on one node (default 1)" },
    { name: "parallel", takes: "value", value: "N", help: "nodes at once (default 8)" },
    { name: "resume", takes: "value", value: "RUN.json", help: "go on with a run: take what is missing of it, or only copy it" },
    { name: "every", takes: "value", value: "D", help: "a series: a checkpoint every so often, until stopped or the pod ends" },
    { name: "count", takes: "value", value: "N", help: "with --every: so many checkpoints" },
    { name: "keep", takes: "value", value: "N", help: "with --every: keep this series' last N archives, remove its older ones" },
    { name: "version", takes: "nothing", help: "print the version of this plugin" },
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/checkpoint.ts"),
};
