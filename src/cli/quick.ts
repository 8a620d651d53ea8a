import { statSync } from "node:fs";
import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { mistypedVerb, unknownVerb } from "./suggest.ts";
import { OPTIONS, VERBS, type VerbEntry } from "./table.ts";
import type { Words } from "./words.ts";

export interface About {
  readonly version: string;
  /** Of the Node.js inside. */
  readonly node: string;
  readonly platform: string;
}

/**
 * The answer to --help, help, options, --version and version, which need nothing loaded; undefined for any other call. Throws a usage
 * error, also where the verb is mistyped.
 */
export function quickAnswer(call: Words, about: About): string | undefined {
  const { verb, help, words, flags } = call;
  const mistyped = mistypedVerb(call, VERBS, isFile);
  if (mistyped !== undefined) throw mistyped;
  if (help) return verb.help;
  if (verb.name === "help") return helpTopic(words).help;
  if (verb.load === undefined && words[0] !== undefined) throw usageError(say`unexpected argument "${words[0]}": ${verb.name} takes none`);
  if (verb.name === "options") return OPTIONS;
  const plain = verb.name === "version" && words.length === 0 && !flags.some(([name]) => name === "output");
  if (plain || flags.some(([name]) => name === "version")) return versionText(about);
  return undefined;
}

function helpTopic([name = VERBS[0].name, more]: readonly string[]): VerbEntry {
  if (more !== undefined) throw usageError(say`unexpected argument "${more}": help takes one verb`);
  const verb = VERBS.find((one) => one.name === name);
  if (verb === undefined) throw unknownVerb(name, VERBS);
  return verb;
}

function versionText({ version, node, platform }: About): string {
  return `kubectl-checkpoint ${version} (Node.js ${node}, ${platform})\n`;
}

export function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
