import { installCompletion, uninstallCompletion } from "../local/completion.ts";
import { usageError } from "../model/error.ts";
import { joined, say } from "../model/phrase.ts";
import { COMMON } from "./shared/common.ts";
import { on } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export type CompletionRequest = "install" | "uninstall";

export const verb = defineVerb({
  name: "completion",
  summary: "Set up shell completion through kubectl",
  usage: ["completion --install", "completion --uninstall"],
  description: `Set up shell completion through kubectl's own: verbs, flags and their values, pods, containers, nodes, namespaces, contexts, files.

kubectl 1.26 or later runs kubectl_complete-checkpoint from the PATH. --install writes this small file to the directory of the plugin, or to
another directory of the PATH that you can write to; --uninstall removes it. For kubectl's own completion see "kubectl completion --help".`,
  examples: [
    { what: "Install it", command: "kubectl checkpoint completion --install" },
    { what: "Remove it", command: "kubectl checkpoint completion --uninstall" },
  ],
  flags: {
    install: on("install the completion file"),
    uninstall: on("remove the completion file"),
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
