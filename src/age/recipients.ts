import { readFile } from "node:fs/promises";
import { UserError, usageError } from "../model/error.ts";
import { command, say } from "../model/phrase.ts";
import { checkRecipient } from "./header.ts";

/**
 * The recipients of --encrypt-to: each word is one, or @FILE with one a line, where empty lines and those that begin with # do not count.
 * Throws a usage error.
 */
export async function readRecipients(words: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const word of words) {
    if (!word.startsWith("@")) found.push(word);
    else {
      const lines = linesOf(await fileText(word.slice(1), "recipients"));
      if (lines.length === 0) throw usageError(say`${word.slice(1)} has no recipients`);
      found.push(...lines);
    }
  }
  for (const recipient of found) checkRecipient(recipient);
  return [...new Set(found)];
}

/** The identities of --identity, as age-keygen writes them. Throws a usage error. */
export async function readIdentities(path: string): Promise<string[]> {
  const lines = linesOf(await fileText(path, "identities"));
  const other = lines.find((line) => !/^AGE-SECRET-KEY-(PQ-)?1[0-9A-Z]+$/.test(line));
  if (lines.length > 0 && other === undefined) return lines;
  throw new UserError({
    reason: "IdentityUnusable",
    message: say`${path} is not a file of age identities`,
    why: "it must have lines that begin with AGE-SECRET-KEY-1; an encrypted one has to be decrypted first",
    fix: command`age-keygen -o ${path}`,
    exitCode: 2,
  });
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

async function fileText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new UserError({
      reason: "Usage",
      message: say`cannot read the ${what} of ${path}`,
      why: (error as Error).message,
      cause: error,
      exitCode: 2,
    });
  }
}
