import { homedir } from "node:os";

/** The user's home folder; undefined where there is none, as in a container with a user that it does not know. */
export function homeFolder(env: NodeJS.ProcessEnv): string | undefined {
  if (env["HOME"]) return env["HOME"];
  try {
    return homedir();
  } catch {
    return undefined;
  }
}
