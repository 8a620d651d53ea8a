import { constants } from "node:fs";
import { access, lstat, readFile } from "node:fs/promises";
import { platform } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { UserError } from "../model/error.ts";
import { homeFolder } from "../model/home.ts";
import { command, say, type Phrase } from "../model/phrase.ts";
import { COMPLETE, helperFile } from "./completion-helper.ts";
import { Directory } from "./directory.ts";

const EXECUTABLE = 0o755;

export interface Installed {
  /** Of the helper file. */
  readonly path: string;
  /** False where it was there already. */
  readonly written: boolean;
}

/**
 * Puts the file where kubectl finds it: in the folder of PATH that has the plugin, if it can be written, else in another one
 * of PATH, those of the user first. Throws a UserError where there is none, or where a file of that name is not ours.
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
      message: say`${path} already exists and was not written by kubectl checkpoint`,
      fix: say`move it away, then: ${command`kubectl checkpoint completion --install`}`,
    });
  }
  try {
    await using directory = await Directory.open(folder);
    await directory.replace(name, text, EXECUTABLE);
  } catch (error) {
    throw failed("CompletionNotWritten", say`cannot write ${path}`, error);
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
      await using directory = await Directory.open(folder, { anyones: true });
      await directory.remove(name);
    } catch (error) {
      throw failed("CompletionNotRemoved", say`cannot remove ${path}`, error);
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
    message: "cannot write to any directory in PATH, where kubectl looks for the completion of plugins",
    fix:
      platform() === "win32"
        ? "add a directory of your own to PATH"
        : say`mkdir -p ~/.local/bin && export PATH="$HOME/.local/bin:$PATH", then rerun this; or run it with sudo`,
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

function failed(reason: string, message: Phrase, cause: unknown): UserError {
  if (!(cause instanceof UserError)) throw cause;
  return new UserError({ reason, message, why: cause.why ?? cause.said.message, cause });
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
