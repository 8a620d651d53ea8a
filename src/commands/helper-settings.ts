import { DEFAULT_CHECKPOINT_DIR, DEFAULT_IMAGE, type HelperSettings } from "../helper/manifest.ts";
import { usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";

/** How helper pods are made: flags over environment over defaults. Throws a usage error. */
export function helperSettings(flags: Flags, env: NodeJS.ProcessEnv): HelperSettings {
  const setting = (flag: string, variable: string): string | undefined => flags.text(flag) ?? (env[variable] || undefined);
  const checkpointDir = flags.text("checkpoint-dir") ?? DEFAULT_CHECKPOINT_DIR;
  if (!checkpointDir.startsWith("/") || checkpointDir.split("/").includes("..")) {
    throw usageError(`--checkpoint-dir: "${checkpointDir}" is not an absolute path`);
  }
  return {
    image: setting("helper-image", "KUBECTL_CHECKPOINT_HELPER_IMAGE") ?? DEFAULT_IMAGE,
    namespace: setting("helper-namespace", "KUBECTL_CHECKPOINT_HELPER_NAMESPACE"),
    pullSecret: setting("helper-pull-secret", "KUBECTL_CHECKPOINT_HELPER_PULL_SECRET"),
    checkpointDir: checkpointDir.replace(/(.)\/+$/, "$1"),
  };
}
