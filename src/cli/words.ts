import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { unknownFlag } from "./suggest.ts";
import type { FlagShape } from "../commands/shared/flags.ts";
import type { VerbEntry } from "./table.ts";

/** A command line in one form: which verb, which words, and every flag as a pair. */
export interface Words {
  readonly verb: VerbEntry;
  readonly help: boolean;
  /** In the order given. The value of a flag that takes none is "true" or "false". */
  readonly flags: readonly (readonly [name: string, value: string])[];
  /** Without the verb. */
  readonly words: readonly string[];
}

/**
 * Reads a command line as kubectl's own flag parser does: `-nfoo`, `-n foo`, `-n=foo`, `--namespace=foo`; a flag
 * that takes a value takes the next word whatever it is; optional values only after "="; options end at "--".
 * It only separates flags from words, so that the verb is known; what they mean is parse.ts's business.
 * Throws a usage error on unknown shorthands and missing values.
 */
export function readWords(argv: readonly string[], verbs: readonly [VerbEntry, ...VerbEntry[]]): Words {
  const specs = allFlags(verbs);
  const flags: [string, string][] = [];
  const words: string[] = [];
  const rest = [...argv];
  const take = (name: string): string => {
    const value = rest.shift();
    if (value === undefined) throw usageError(say`flag needs an argument: ${name}`);
    return value;
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      words.push(...rest.splice(0));
    } else if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const given = equals < 0 ? undefined : word.slice(equals + 1);
      const spec = specs.get(`--${name}`);
      if (spec === undefined) {
        const ahead = rest.filter((one) => verbs.some((verb) => verb.name === one));
        throw unknownFlag(name, verbOf(words.length > 0 ? words : ahead, verbs), verbs);
      }
      flags.push([name, valueOf(spec, `--${name}`, given, take)]);
    } else if (word.startsWith("-") && word !== "-") {
      flags.push(...shorthands(word, specs, take));
    } else {
      words.push(word);
    }
  }
  const verb = verbOf(words, verbs);
  return {
    verb,
    help: flags.some(([name, value]) => name === "help" && value === "true"),
    flags,
    words: verb === verbs[0] ? words : words.slice(1),
  };
}

/** The verb that the first word names; without one, the default. */
function verbOf(words: readonly string[], verbs: readonly [VerbEntry, ...VerbEntry[]]): VerbEntry {
  return verbs.find((verb, index) => index > 0 && verb.name === words[0]) ?? verbs[0];
}

function allFlags(verbs: readonly VerbEntry[]): Map<string, FlagShape> {
  const specs = new Map<string, FlagShape>();
  for (const verb of verbs) {
    for (const flag of verb.flags) {
      specs.set(`--${flag.name}`, flag);
      if (flag.short !== undefined) specs.set(`-${flag.short}`, flag);
    }
  }
  return specs;
}

function* shorthands(word: string, specs: Map<string, FlagShape>, take: (name: string) => string): Generator<[string, string]> {
  for (let at = 1; at < word.length; at += 1) {
    const letter = `-${word[at]}`;
    const spec = specs.get(letter);
    if (spec === undefined) throw usageError(say`unknown shorthand flag: '${word[at] ?? ""}' in ${word}`);
    const after = word.slice(at + 1);
    const given = after.startsWith("=") ? after.slice(1) : undefined;
    if (spec.takes === "nothing" && given === undefined) {
      yield [spec.name, "true"];
      continue;
    }
    const attached = given ?? (after === "" || spec.takes === "optional" ? undefined : after);
    yield [spec.name, valueOf(spec, letter, attached, take)];
    return;
  }
}

function valueOf(spec: FlagShape, name: string, given: string | undefined, take: (name: string) => string): string {
  switch (spec.takes) {
    case "nothing":
      return truth(given ?? "true", name);
    case "optional":
      return given ?? "";
    default:
      return given ?? take(name);
  }
}

function truth(text: string, name: string): string {
  if (/^(1|t|true)$/i.test(text)) return "true";
  if (/^(0|f|false)$/i.test(text)) return "false";
  throw usageError(say`invalid value "${text}" for ${name}: use true or false`);
}
