import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { withoutComments, type RuleFile } from "./rules.ts";

const LARGEST = 16 << 20;
const MOST_FILES = 20_000;

/** The files of rules at these paths: of directories, all that end in .yar and .yara. Throws a UserError. */
export async function ruleFiles(paths: readonly string[]): Promise<RuleFile[]> {
  const files: RuleFile[] = [];
  for (const path of paths) {
    try {
      for (const file of await filesAt(path)) {
        const found = await stat(file);
        // A pipe in a directory would be waited for; one that is given, as <(…) is, is meant.
        if (!found.isFile() && (file !== path || !found.isFIFO())) throw new Error(`${file} is no regular file`);
        if (found.size > LARGEST || files.length === MOST_FILES) throw new Error("there is too much of it");
        files.push({ path: file, text: textOf(await readFile(file)) });
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
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => /\.yara?$/i.test(entry.name) && !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Old rules have names of their authors in Latin-1, in comments. Throws an Error where other bytes than UTF-8 would change what a rule looks for. */
function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const code = withoutComments(bytes.toString("latin1"));
    if (/[\u0080-\u00ff]/.test(code)) throw new Error("it is not UTF-8");
    return bytes.toString("utf8");
  }
}
