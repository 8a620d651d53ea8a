import { installCompletion, uninstallCompletion } from "../local/completion.ts";
import { usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { joined, say } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Call } from "./command.ts";

export type CompletionRequest = "install" | "uninstall";

/** Throws a usage error. */
export function completionRequest(words: readonly string[], flags: Flags): CompletionRequest {
  if (words.length > 0) throw usageError(`"${words.join(" ")}": completion takes no words`, "kubectl checkpoint completion --install");
  if (flags.on("install") === flags.on("uninstall")) throw usageError("completion takes one of --install and --uninstall");
  return flags.on("install") ? "install" : "uninstall";
}

export async function* run({ words, flags, env, emit }: Call): AsyncGenerator<Piece, Outcome> {
  if (completionRequest(words, flags) === "install") {
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
}
