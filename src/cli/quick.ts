import { usageError } from "../model/error.ts";
import { verbHelp } from "./help.ts";
import { DEFAULT_VERB, VERBS, verbNamed } from "./verbs/table.ts";
import type { Words } from "./words.ts";

export interface About {
  readonly version: string;
  /** Of the Node.js inside. */
  readonly node: string;
  readonly platform: string;
}

/** The answer to --help, help, --version and version, which need nothing loaded; undefined for any other call. Throws a usage error. */
export function quickAnswer({ verb, help, words, flags }: Words, about: About): string | undefined {
  if (help) return verbHelp(verb);
  if (verb.name === "help") return verbHelp(helpTopic(words));
  if (verb.name === "version" && words[0] !== undefined) throw usageError(`version takes no words: "${words[0]}"`);
  if (flags.some(([name]) => name === "version") || verb.name === "version") return versionText(flags, about);
  return undefined;
}

function helpTopic([name, more]: readonly string[]) {
  if (more !== undefined) throw usageError(`help takes one verb: "${more}" is one word too many`);
  if (name === undefined || name === DEFAULT_VERB.name) return DEFAULT_VERB;
  const verb = verbNamed(name);
  if (verb === undefined) throw usageError(`there is no verb "${name}"`, `one of ${VERBS.map((one) => one.name).join(", ")}`);
  return verb;
}

function versionText(flags: Words["flags"], { version, node, platform }: About): string {
  const format = flags.findLast(([name]) => name === "output")?.[1];
  if (format === "json") return `${JSON.stringify({ version, node, platform }, undefined, 2)}\n`;
  if (format !== undefined) throw usageError(`-o ${format}: version has only json`);
  return `kubectl-checkpoint ${version} (Node.js ${node}, ${platform})\n`;
}
