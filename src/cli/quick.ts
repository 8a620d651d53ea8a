import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { VERBS, type VerbEntry } from "./table.ts";
import type { Words } from "./words.ts";

export interface About {
  readonly version: string;
  /** Of the Node.js inside. */
  readonly node: string;
  readonly platform: string;
}

/** The answer to --help, help, --version and version, which need nothing loaded; undefined for any other call. Throws a usage error. */
export function quickAnswer({ verb, help, words, flags }: Words, about: About): string | undefined {
  if (help) return verb.help;
  if (verb.name === "help") return helpTopic(words).help;
  if (verb.name === "version" && words[0] !== undefined) throw usageError(say`version takes no words: "${words[0]}"`);
  if (flags.some(([name]) => name === "version") || verb.name === "version") return versionText(flags, about);
  return undefined;
}

function helpTopic([name = VERBS[0].name, more]: readonly string[]): VerbEntry {
  if (more !== undefined) throw usageError(say`help takes one verb: "${more}" is one word too many`);
  const verb = VERBS.find((one) => one.name === name);
  if (verb === undefined) throw usageError(say`there is no verb "${name}"`, `one of ${VERBS.map((one) => one.name).join(", ")}`);
  return verb;
}

function versionText(flags: Words["flags"], { version, node, platform }: About): string {
  const format = flags.findLast(([name]) => name === "output")?.[1];
  if (format === "json") return `${JSON.stringify({ version, node, platform }, undefined, 2)}\n`;
  if (format !== undefined) throw usageError(say`-o ${format}: version has only json`);
  return `kubectl-checkpoint ${version} (Node.js ${node}, ${platform})\n`;
}
