import type { Codec } from "../../helper/files.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { usageError } from "../../model/error.ts";
import type { Flags } from "../../model/flags.ts";
import { parseDuration } from "../../model/units.ts";
import { helperSettings } from "../helper-settings.ts";

/** One call of `kubectl checkpoint`, its flags read once. */
export interface CheckpointRequest {
  /** None: to be picked. */
  readonly pods: readonly string[];
  /** None: the pod's own choice. */
  readonly containers: readonly string[];
  readonly timeoutMs: number | undefined;
  readonly copy: CopyOptions | undefined;
  readonly settings: HelperSettings;
}

/** --copy and what goes with it. */
export interface CopyOptions {
  /** Undefined: the working directory. */
  readonly destination: string | undefined;
  readonly remove: boolean;
  readonly force: boolean;
  readonly codec: Codec | "auto";
}

/** Throws a usage error. */
export function checkpointRequest(words: readonly string[], flags: Flags, env: NodeJS.ProcessEnv): CheckpointRequest {
  const timeout = flags.text("timeout");
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout, "--timeout");
  if (timeoutMs === 0) throw usageError("--timeout must be more than 0");
  const copy = copyOptions(flags);
  return { pods: podNames(words), containers: flags.list("container"), timeoutMs, copy, settings: helperSettings(flags, env) };
}

function copyOptions(flags: Flags): CopyOptions | undefined {
  const destination = flags.text("copy");
  if (destination === undefined) {
    for (const flag of ["remove", "force"]) if (flags.on(flag)) throw usageError(`--${flag} goes with --copy`);
    if (flags.text("compress") !== undefined) throw usageError("--compress goes with --copy");
    return undefined;
  }
  if (destination === "-") throw usageError("--copy=-: standard output takes one archive, with kubectl checkpoint cp NODE:ARCHIVE -");
  return {
    destination: destination === "" ? undefined : destination,
    remove: flags.on("remove"),
    force: flags.on("force"),
    codec: (flags.text("compress") ?? "auto") as Codec | "auto",
  };
}

/** `nginx`, `pod/nginx`, and as kubectl takes it: `pod nginx`. */
function podNames(words: readonly string[]): string[] {
  const named = words.length > 1 && /^(pods?|po)$/.test(words[0] ?? "") ? words.slice(1) : words;
  return named.map((word) => {
    const [, type, name] = /^([^/]*)\/(.*)$/s.exec(word) ?? [undefined, "pod", word];
    if (name === undefined || name === "") throw usageError(`"${word}" names no pod`);
    if (!/^(pods?|po)$/.test(type ?? "")) throw usageError(`"${word}": only pods can be checkpointed`, "give the name of a pod");
    return name;
  });
}
