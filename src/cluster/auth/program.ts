import { access, constants } from "node:fs/promises";
import { delimiter, posix, win32 } from "node:path";

/** A program as spawn takes it. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  /** Windows: the arguments are quoted already. */
  readonly verbatim: boolean;
}

/**
 * Finds a command as a shell does: one with a separator is a path, another one is looked for in PATH, on Windows with each ending of
 * PATHEXT. Batch files, which only cmd.exe runs, are given to it. Undefined where there is none.
 */
export async function programToRun(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
  exists: (path: string) => Promise<boolean> = isExecutable,
): Promise<Program | undefined> {
  const windows = platform === "win32";
  for (const path of candidates(command, env, windows)) {
    if (!(await exists(path))) continue;
    if (!windows || !/\.(bat|cmd)$/i.test(path)) return { file: path, args, verbatim: false };
    const line = [path, ...args].map(quotedForCmd).join(" ");
    return { file: variable(env, "ComSpec") || "cmd.exe", args: ["/d", "/s", "/c", `"${line}"`], verbatim: true };
  }
  return undefined;
}

function candidates(command: string, env: NodeJS.ProcessEnv, windows: boolean): string[] {
  const { isAbsolute, join } = windows ? win32 : posix;
  const isPath = isAbsolute(command) || (windows ? /[/\\]/ : /\//).test(command);
  const folders = (variable(env, "PATH") ?? "").split(windows ? ";" : delimiter).filter((folder) => folder !== "");
  const paths = isPath ? [command] : folders.map((folder) => join(folder, command));
  if (!windows) return paths;
  const endings = (variable(env, "PATHEXT") || ".COM;.EXE;.BAT;.CMD")
    .toLowerCase()
    .split(";")
    .filter((ending) => ending !== "");
  const hasEnding = endings.some((ending) => command.toLowerCase().endsWith(ending));
  return paths.flatMap((path) => (hasEnding ? [path] : endings.map((ending) => path + ending)));
}

/** Windows' variables have no case. */
function variable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name] ?? Object.entries(env).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** One argument for a program that cmd.exe starts: quoted for the program, then every character that cmd.exe obeys made plain. */
function quotedForCmd(argument: string): string {
  const quoted = `"${argument.replaceAll(/(\\*)"/g, '$1$1\\"').replace(/(\\*)$/, "$1$1")}"`;
  return quoted.replaceAll(/[()\][%!^"`<>&|;, *?]/g, "^$&");
}
