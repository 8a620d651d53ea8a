import type { FlagGroup, FlagSpec } from "./verb.ts";

/** For verbs that use a helper pod. */
export const HELPER_FLAGS: FlagGroup = {
  title: "Helper pod options",
  flags: [
    {
      name: "helper-image",
      takes: "value",
      value: "IMAGE",
      help: "image with sh, dd, cat, wc and sha256sum; httpd, zstd make it fast (KUBECTL_CHECKPOINT_HELPER_IMAGE; default: busybox by digest)",
    },
    {
      name: "helper-namespace",
      takes: "value",
      value: "NAME",
      help: "namespace of the helper pod (KUBECTL_CHECKPOINT_HELPER_NAMESPACE; default: kubectl-checkpoint if there is one, else kube-system)",
    },
    {
      name: "helper-pull-secret",
      takes: "value",
      value: "NAME",
      help: "secret in that namespace to pull the image with (KUBECTL_CHECKPOINT_HELPER_PULL_SECRET)",
    },
    {
      name: "checkpoint-dir",
      takes: "value",
      value: "DIR",
      help: "the kubelet's checkpoint directory on the node (default: /var/lib/kubelet/checkpoints)",
    },
  ],
};

/** For verbs that create objects. */
export const DRY_RUN_FLAG: FlagSpec = {
  name: "dry-run",
  takes: "value",
  value: "client|server",
  choices: ["client", "server"],
  help: "only show what would be created, with -o yaml the whole of it; server asks the API server too",
};

/** For verbs that look after nodes. */
export const NODE_FLAG: FlagSpec = {
  name: "node",
  takes: "values",
  value: "NODE",
  help: "only this node, may be repeated (default: all)",
};

/** For verbs that remove. */
export const REMOVAL_DRY_RUN_FLAG: FlagSpec = { ...DRY_RUN_FLAG, help: "only show what would be removed" };

export const COMPRESS_CHOICES = ["auto", "zstd", "lzop", "gzip", "none"] as const;
