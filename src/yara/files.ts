import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { RuleFile } from "./rules.ts";

const LARGEST = 16 << 20;
const MOST_FILES = 20_000;

/** The files of rules at these paths: of directories, all that end in .yar and .yara. Throws a UserError. */
export async function ruleFiles(paths: readonly string[]): Promise<RuleFile[]> {
  const files: RuleFile[] = [];
  for (const path of paths) {
    try {
      for (const file of await filesAt(path)) {
        if ((await stat(file)).size > LARGEST || files.length === MOST_FILES) throw new Error("there is too much of it");
        files.push({ path: file, text: await readFile(file, "utf8") });
      }
    } catch (error) {
      throw new UserError({
        reason: "CannotReadRules",
        message: say`cannot read the rules ${path}`,
        why: (error as Error).message,
        exitCode: 2,
        cause: error,
      });
    }
  }
  if (files.length === 0)
    throw new UserError({
      reason: "NoRules",
      message: say`${paths.join(", ")} has no rules`,
      why: "files of rules end in .yar or .yara",
      exitCode: 2,
    });
  return files;
}

async function filesAt(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path, { recursive: true });
  return names
    .filter((name) => /\.yara?$/i.test(name))
    .sort()
    .map((name) => join(path, name));
}
