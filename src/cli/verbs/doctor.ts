import { HELPER_FLAGS } from "./helper-flags.ts";
import { CLUSTER_FLAGS, COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const doctorVerb: Verb = {
  name: "doctor",
  summary: "Will it work here? If not, what to do",
  usage: ["doctor [POD | node/NODE] [-c NAME] [--deep] [--fix[=apply]] [options]"],
  description: `Answer in one screen whether a checkpoint will work, a copy, a restore; and if not, what to do about it. Of all nodes, one
node, or a pod: then what may keep its containers from being dumped is looked for too. Nothing is checkpointed, and nothing is changed.

--deep starts helper pods on the nodes, privileged and read-only, and looks at what only the nodes tell: CRIU and whether it is new
enough for the kernel, its options, free space and inodes, SELinux; of a pod the connections, devices and io_uring that its
processes have open. Without it none of this is looked at, and the answer says so.

--fix prints the RBAC objects that are missing, and nothing else, to stdout; --fix=apply applies them as you, after asking, waits
until the kubelets have forgotten their refusal, and looks again. Exit status: 0, 1 where something fails.`,
  examples: [
    { what: "Will it work, on any node?", command: "kubectl checkpoint doctor" },
    { what: "For this container, with a look at its processes", command: "kubectl checkpoint doctor nginx -c nginx --deep" },
    { what: "One node, CRIU included", command: "kubectl checkpoint doctor node/node1 --deep" },
    { what: "The rights that are missing, for a cluster admin", command: "kubectl checkpoint doctor --fix >rbac.yaml" },
    { what: "In a script: what fails?", command: `kubectl checkpoint doctor -o json | jq -r '.items[] | select(.status == "fail").check'` },
  ],
  flags: [
    { name: "container", short: "c", takes: "values", value: "NAME", help: "only this container of the pod" },
    { name: "deep", takes: "nothing", help: "look at the nodes themselves, through helper pods" },
    { name: "fix", takes: "optional", value: "apply", help: "print the RBAC objects that are missing; =apply: apply them, after asking" },
    outputFlag("json", "yaml"),
  ],
  sharedFlags: [HELPER_FLAGS, CLUSTER_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/doctor.ts"),
};
