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
  description: `Set up shell completion through kubectl's own: verbs, flags and their values, pods, workloads (deploy/...), containers, nodes,
namespaces, contexts, files of the kind that is meant, and the archives on nodes that the last "kubectl checkpoint ls" of the context
listed; their names are kept in ~/.cache/kubectl-checkpoint.

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
    if (words.length > 0)
      throw usageError(say`unexpected argument "${words[0] ?? ""}": completion takes none`, "kubectl checkpoint completion --install");
    if (install === uninstall)
      throw usageError(install ? "--install and --uninstall cannot be used together" : "--install or --uninstall is required");
    return install ? "install" : "uninstall";
  },
  async *run(request, { env, emit }) {
    if (request === "install") {
      const { path, written } = await installCompletion(env);
      yield { text: written ? say`completion installed: ${path}` : say`completion is already installed: ${path}`, name: path };
      emit({
        kind: "hint",
        text: say`it requires kubectl 1.26 or later and kubectl's own completion: kubectl completion --help`,
      });
    } else {
      const removed = await uninstallCompletion(env);
      yield { text: removed.length === 0 ? say`completion is not installed` : say`completion removed: ${joined(removed, ", ")}` };
    }
    return { exitCode: 0 };
  },
});
