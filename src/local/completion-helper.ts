/** kubectl's completion is answered for `kubectl-checkpoint __complete WORD... LAST`, LAST as far as it is typed. */
export const COMPLETE = "__complete";

export interface HelperFile {
  /** kubectl runs `kubectl_complete-PLUGIN` from PATH; on Windows, where PATHEXT has its extension. */
  readonly name: string;
  readonly text: string;
}

/**
 * The file that makes kubectl complete this plugin's words. It finds the plugin as kubectl does, by PATH. Nothing of it
 * may get between the user and the line that is being typed: no question, no error.
 */
export function helperFile(platform: NodeJS.Platform): HelperFile {
  return platform === "win32"
    ? { name: "kubectl_complete-checkpoint.cmd", text: `@kubectl-checkpoint ${COMPLETE} %* <NUL 2>NUL\r\n` }
    : { name: "kubectl_complete-checkpoint", text: `#!/bin/sh\nexec kubectl-checkpoint ${COMPLETE} "$@" </dev/null 2>/dev/null\n` };
}
