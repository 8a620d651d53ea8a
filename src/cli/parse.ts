import yargs from "yargs";
import { usageError } from "../model/error.ts";
import type { Given, GivenFlags } from "../commands/shared/flags.ts";
import { unknownFlag } from "./suggest.ts";
import { VERBS, type VerbEntry } from "./table.ts";
import type { Words } from "./words.ts";

/**
 * The one adapter from the verbs' table to yargs, which checks flags, their choices and their repetition.
 * What yargs would guess (numbers, negations, nested keys, greedy arrays) is turned off: names are strings.
 * Throws a usage error.
 */
export function parseFlags({ verb, flags }: Pick<Words, "verb" | "flags">): GivenFlags {
  const unknown = flags.find(([name]) => !verb.flags.some((flag) => flag.name === name));
  if (unknown !== undefined) throw unknownFlag(unknown[0], verb, VERBS);
  const parser = yargs([])
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "greedy-arrays": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
    })
    .help(false)
    .version(false)
    .exitProcess(false)
    .strictOptions()
    .fail((message, error) => {
      throw usageError(plainly(message ?? error.message), `kubectl checkpoint ${helpWord(verb)}--help`);
    });
  for (const flag of verb.flags) {
    parser.option(flag.name, {
      type: flag.takes === "nothing" ? "boolean" : flag.takes === "values" ? "array" : "string",
      ...(flag.takes === "values" ? { string: true } : {}),
      ...(flag.choices === undefined ? {} : { choices: flag.choices }),
    });
  }
  // The last of a flag wins, except where it may be repeated.
  const repeated = new Set(verb.flags.flatMap(({ name, takes }) => (takes === "values" ? [name] : [])));
  const counting = flags.filter(([name], index) => repeated.has(name) || flags.findLastIndex((one) => one[0] === name) === index);
  const parsed: Record<string, unknown> = parser.parseSync(counting.map(([name, value]) => `--${name}=${quoted(value)}`));
  const values = new Map<string, Given>();
  for (const flag of verb.flags) {
    const value = parsed[flag.name];
    if (typeof value === "string" || typeof value === "boolean") values.set(flag.name, value);
    else if (Array.isArray(value)) values.set(flag.name, value.map(String));
  }
  return values;
}

/** yargs takes one layer of quotes off a value: it gets one that it may take. */
function quoted(value: string): string {
  return /^(["']).*\1$/s.test(value) ? `"${value}"` : value;
}

function helpWord(verb: VerbEntry): string {
  return verb.load === undefined || verb.name !== "checkpoint" ? `${verb.name} ` : "";
}

/** yargs's sentences in kubectl's words, on one line. */
function plainly(message: string): string {
  const choice = /Argument: (\S+), Given: (.*), Choices: (.*)/.exec(message);
  if (choice !== null) return `invalid value ${choice[2]} for --${choice[1]}: use one of ${choice[3]?.replaceAll('"', "")}`;
  return message.replaceAll(/\s*\n\s*/g, " ").trim();
}
