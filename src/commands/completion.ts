import { installCompletion, uninstallCompletion } from "../local/completion.ts";
import { usageError } from "../model/error.ts";
import { joined, say } from "../model/phrase.ts";
import { COMMON } from "./shared/common.ts";
import { on } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export type CompletionRequest = "install" | "uninstall";

export const verb = defineVerb({
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
  flags: {
    install: on("put the file where kubectl finds it"),
    uninstall: on("remove the file"),
    ...COMMON,
  },
  request(words, { install, uninstall }): CompletionRequest {
    if (words.length > 0) throw usageError(say`"${words.join(" ")}": completion takes no words`, "kubectl checkpoint completion --install");
    if (install === uninstall) throw usageError("completion takes one of --install and --uninstall");
    return install ? "install" : "uninstall";
  },
  async *run(request, { env, emit }) {
    if (request === "install") {
      const { path, written } = await installCompletion(env);
      yield { text: written ? say`completion installed: ${path}` : say`completion is installed already: ${path}`, name: path };
      emit({
        kind: "hint",
        text: say`It works with kubectl's own (kubectl 1.26 or later), in a shell that has it: kubectl completion --help`,
      });
    } else {
      const removed = await uninstallCompletion(env);
      yield { text: removed.length === 0 ? say`completion is not installed` : say`completion removed: ${joined(removed, ", ")}` };
    }
    return { exitCode: 0 };
  },
});
