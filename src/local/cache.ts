import { stat } from "node:fs/promises";
import { join } from "node:path";
import { homeFolder } from "../model/home.ts";

/**
 * Where small things are kept between commands; undefined where there is no home, or it is somebody else's, as with a sudo that keeps HOME.
 * The directory itself may not exist yet.
 */
export async function cacheDirectory(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const home = homeFolder(env);
  const own = env["XDG_CACHE_HOME"] || home;
  if (own === undefined) return undefined;
  const uid = process.geteuid?.();
  if (uid !== undefined && (await stat(own).catch(() => undefined))?.uid !== uid) return undefined;
  return join(env["XDG_CACHE_HOME"] || join(own, ".cache"), "kubectl-checkpoint");
}
