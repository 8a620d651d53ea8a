import { UserError } from "../../model/error.ts";
import type { FlagShape } from "../../commands/shared/flags.ts";
import type { VerbEntry } from "../table.ts";
import { readWords, type Words } from "../words.ts";

/** What the word under the cursor is. */
export type Wanted =
  | { readonly kind: "flag" }
  | { readonly kind: "value"; readonly flag: FlagShape }
  /** A word of the verb, by its place among them; at the first place it may be the verb as well. */
  | { readonly kind: "word"; readonly index: number };

export interface Position {
  /** All before the word under the cursor. */
  readonly before: Words;
  readonly wanted: Wanted;
  /** What of it is typed: of a value, without its flag. */
  readonly typed: string;
}

/** Where the cursor is in a command line; undefined where the words before it make no sense. */
export function position(words: readonly string[], last: string, verbs: readonly [VerbEntry, ...VerbEntry[]]): Position | undefined {
  const whole = attempt(() => readWords(words, verbs));
  if (whole === undefined) {
    // Or it does, with the value that is being typed.
    const before = attempt(() => readWords(words.slice(0, -1), verbs));
    const flag = before && flagNamed(words.at(-1) ?? "", before.verb);
    return before && flag && { before, wanted: { kind: "value", flag }, typed: last };
  }
  const index = whole.words.length;
  if (!last.startsWith("-") || words.includes("--")) return { before: whole, wanted: { kind: "word", index }, typed: last };
  const [, name, value] = /^(--?[^=]+)=(.*)$/s.exec(last) ?? [];
  if (name === undefined || value === undefined) return { before: whole, wanted: { kind: "flag" }, typed: last };
  const flag = flagNamed(name, whole.verb);
  return flag && { before: whole, wanted: { kind: "value", flag }, typed: value };
}

/** `--namespace`, `-n`, and `-qn`: the flag that takes a value in a group of short ones is its last. */
function flagNamed(word: string, verb: VerbEntry): FlagShape | undefined {
  const { flags } = verb;
  return word.startsWith("--") ? flags.find(({ name }) => name === word.slice(2)) : flags.find(({ short }) => short === word.at(-1));
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** One place for a word in a usage line, as the line names it: POD, FILE, NODE:ARCHIVE. */
export interface Slot {
  /** What is possible there. */
  readonly kinds: readonly string[];
  /** Any number of words, as "..." says. */
  readonly repeated: boolean;
}

// A flag and its value: --copy[=DEST], --to DEST, -c NAME.
const FLAG = /--?[a-zA-Z][\w-]*(\[=[^\]]*\]|=\S+| [^\s\-[\]()|][^\s\])]*)?/g;

/** The places for words in a usage line, without the verb and the flags. Only words in capitals are placeholders. */
export function slots(usage: string): Slot[] {
  const words = usage
    .replaceAll(FLAG, "")
    .replaceAll(/\s*\|\s*/g, "|")
    .split(/\s+/);
  return words.flatMap((word) => {
    const kinds = word
      .replace(/\.\.\.$/, "")
      .replaceAll(/[[\]()]/g, "")
      .split("|")
      .filter((kind) => /[A-Z]/.test(kind));
    return kinds.length === 0 ? [] : [{ kinds, repeated: word.endsWith("...") }];
  });
}

/** What the word at a place may be, by all of a verb's usage lines: from a repeated one on, that again or what follows it. */
export function kindsAt(usages: readonly string[], index: number): string[] {
  const kinds = usages.map(slots).flatMap((line) => {
    const repeated = line.findIndex((slot) => slot.repeated);
    const first = repeated < 0 ? index : Math.min(repeated, index);
    return line.slice(first, index + 1).flatMap((slot) => slot.kinds);
  });
  return [...new Set(kinds)];
}
