import { DRY_RUN_FLAG, HELPER_FLAGS } from "./helper-flags.ts";
import { REGISTRY_FLAGS } from "./registry-flags.ts";
import { CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { FlagSpec, Verb } from "./verb.ts";

export const IMAGE_FLAG: FlagSpec = { name: "image", takes: "value", value: "REFERENCE", help: "where the checkpoint image is, or goes" };

export const EXPLAIN_FLAG: FlagSpec = {
  name: "explain",
  takes: "nothing",
  help: "where CRIU fails to restore, wait for the next try and read its log, by a privileged pod on the node",
};

const keep = (what: string, help: string): FlagSpec => ({ name: `keep-${what}`, takes: "nothing", help });

export const restoreVerb: Verb = {
  name: "restore",
  summary: "Restore a container in a new pod",
  usage: [
    "restore FILE --image REFERENCE [--node NODE] [--name NAME] [--set-image NAME=REF]... [--isolated] [options]",
    "restore --image REFERENCE [--node NODE] [--name NAME] [--set-image NAME=REF]... [--isolated] [options]",
  ],
  description: `Restore a checkpointed container in a new pod: its processes go on where they were. With FILE, the archive is pushed as the
image REFERENCE where the registry lacks it, as "kubectl checkpoint image --push" does; without, the image is there already.

The pod is made from the manifest that was recorded with the checkpoint (FILE.json, or in the image): the same containers,
volumes and service account; only the checkpointed container is restored, others start anew. As with kubectl debug --copy-to,
labels, annotations and probes are left out unless kept: labels lead traffic and ReplicaSets to a pod. Without a manifest, the
pod is made from what the archive holds, and the gaps are named.

The manifest may be anybody's: where its pod has power over the node or the cluster (privileged, host namespaces, hostPath,
more capabilities, a service account of its own), it is made after a yes only; --yes gives it. With --isolated, one that could
leave the sandbox is refused.

Before anything is created, the node is looked at: architecture, engine, the runtime's version (containerd 2.1 to 2.3 and CRI-O
restore), the base image. Then the pod is watched until the container runs from the checkpoint, which is proved, or it is
explained why it does not. A changed environment or command does not reach the restored process, and whenever the container
restarts, the checkpoint is restored again.`,
  examples: [
    {
      what: "Bring a container back, on any node that can",
      command: "kubectl checkpoint restore nginx.tar --image registry.local:5000/nginx:1",
    },
    {
      what: "Look at it in a sandbox: no token, no network",
      command: "kubectl checkpoint restore --image registry.local:5000/nginx:1 --isolated --name suspect",
    },
    {
      what: "See, or edit, what would be created",
      command: "kubectl checkpoint restore nginx.tar --image registry.local:5000/nginx:1 --dry-run=client -o yaml",
    },
    {
      what: "On a certain node, asking nothing",
      command: "kubectl checkpoint restore nginx.tar --image registry.local:5000/nginx:1 --node node2 --yes",
    },
  ],
  flags: [
    IMAGE_FLAG,
    { name: "node", takes: "value", value: "NODE", help: "node to restore on (default: any that can)" },
    { name: "name", takes: "value", value: "NAME", help: "name of the new pod (default: the old one's with -restored)" },
    { name: "set-image", takes: "values", value: "NAME=REF", help: "image of another container of the pod, may be repeated" },
    { name: "isolated", takes: "nothing", help: "no service account token, and a NetworkPolicy that denies all traffic" },
    keep("labels", "keep the pod's labels"),
    keep("annotations", "keep the pod's annotations"),
    keep("liveness", "keep liveness probes"),
    keep("readiness", "keep readiness probes"),
    keep("startup", "keep startup probes"),
    EXPLAIN_FLAG,
    DRY_RUN_FLAG,
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [REGISTRY_FLAGS, HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/restore.ts"),
};
