import { constants } from "node:fs";
import { access, chmod, lstat, readFile, rm, writeFile } from "node:fs/promises";
import { platform } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { UserError } from "../model/error.ts";
import { homeFolder } from "../model/home.ts";
import { COMPLETE, helperFile } from "./completion-helper.ts";

export interface Installed {
  /** Of the helper file. */
  readonly path: string;
  /** False where it was there already. */
  readonly written: boolean;
}

/**
 * Puts the file where kubectl finds it: in the folder of PATH that has the plugin, if it can be written, else in another one
 * of PATH, those of the user first. Throws a UserError where there is none, or where the file's place is taken.
 */
export async function installCompletion(env: NodeJS.ProcessEnv): Promise<Installed> {
  const { name, text } = helperFile(platform());
  const folder = await folderFor(env);
  const path = join(folder, name);
  const content = await contentOf(path);
  if (content === text) return { path, written: false };
  if (content !== undefined && !isOurs(content)) {
    throw new UserError({
      reason: "CompletionTaken",
      message: `${path} is there already, and is not of kubectl checkpoint`,
      fix: "move it away, then run this again",
    });
  }
  try {
    // Never through a link that somebody else has put there.
    await rm(path, { force: true });
    await writeFile(path, text, { flag: "wx", mode: 0o755 });
    await chmod(path, 0o755);
  } catch (error) {
    throw new UserError({
      reason: "CompletionNotWritten",
      message: `${path} cannot be written`,
      why: (error as Error).message,
      cause: error,
    });
  }
  return { path, written: true };
}

/** Removes the file from every folder of PATH, and answers with the paths. Throws a UserError where one stays. */
export async function uninstallCompletion(env: NodeJS.ProcessEnv): Promise<string[]> {
  const { name } = helperFile(platform());
  const removed: string[] = [];
  for (const folder of pathFolders(env)) {
    const path = join(folder, name);
    const content = await contentOf(path);
    if (content === undefined || !isOurs(content)) continue;
    try {
      await rm(path);
    } catch (error) {
      throw new UserError({
        reason: "CompletionNotRemoved",
        message: `${path} cannot be removed`,
        why: (error as Error).message,
        cause: error,
      });
    }
    removed.push(path);
  }
  return removed;
}

async function folderFor(env: NodeJS.ProcessEnv): Promise<string> {
  const folders = pathFolders(env);
  const home = homeFolder(env);
  const plugin = platform() === "win32" ? "kubectl-checkpoint.exe" : "kubectl-checkpoint";
  const withPlugin: string[] = [];
  for (const folder of folders) if (await exists(join(folder, plugin))) withPlugin.push(folder);
  const ofUser = folders.filter((folder) => home !== undefined && folder.startsWith(join(home, "/")));
  for (const folder of [...withPlugin, ...ofUser, ...folders]) if (await writable(folder)) return folder;
  throw new UserError({
    reason: "NoWritableFolder",
    message: "kubectl looks for completions of plugins in PATH, and no folder of PATH can be written",
    fix:
      platform() === "win32"
        ? "add a folder of yours to PATH"
        : `mkdir -p ~/.local/bin && export PATH="$HOME/.local/bin:$PATH", then run this again; or run it with sudo`,
  });
}

function pathFolders(env: NodeJS.ProcessEnv): string[] {
  const path = env["PATH"] ?? env["Path"] ?? "";
  return [
    ...new Set(
      path
        .split(delimiter)
        .filter((folder) => folder !== "")
        .map((folder) => resolve(folder)),
    ),
  ];
}

/** Undefined where there is no file. */
async function contentOf(path: string): Promise<string | undefined> {
  try {
    const { size } = await lstat(path);
    return size > 4096 ? "" : await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && !(await exists(path))) return undefined;
    return "";
  }
}

/** Of this version or another. */
function isOurs(content: string): boolean {
  return content.includes(`kubectl-checkpoint ${COMPLETE} `);
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

async function writable(folder: string): Promise<boolean> {
  return await access(folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}
