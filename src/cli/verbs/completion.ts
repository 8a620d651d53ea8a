import { COMMON_FLAGS } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const completionVerb: Verb = {
  name: "completion",
  summary: "Let kubectl's completion know this plugin",
  usage: ["completion --install", "completion --uninstall"],
  description: `Let kubectl's own completion complete the words of this plugin: verbs, flags and their values, pods, containers,
nodes, namespaces, contexts, files.

kubectl (1.26 or later) runs kubectl_complete-checkpoint, which it finds in PATH. --install puts this small file beside the
plugin, or into another folder of PATH that you may write; --uninstall removes it. Where kubectl itself does not complete yet: kubectl completion --help.`,
  examples: [
    { what: "Install it", command: "kubectl checkpoint completion --install" },
    { what: "Remove it", command: "kubectl checkpoint completion --uninstall" },
  ],
  flags: [
    { name: "install", takes: "nothing", help: "put the file where kubectl finds it" },
    { name: "uninstall", takes: "nothing", help: "remove the file" },
  ],
  sharedFlags: [COMMON_FLAGS],
  load: async () => await import("../../commands/completion.ts"),
};
