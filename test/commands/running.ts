import { parseFlags } from "../../src/cli/parse.ts";
import { VERBS } from "../../src/cli/table.ts";
import { readWords } from "../../src/cli/words.ts";
import { valuesOf, type FlagSet, type Given, type GivenFlags } from "../../src/commands/shared/flags.ts";
import type { Verb } from "../../src/commands/shared/verb.ts";
import type { Event } from "../../src/model/context.ts";
import type { UserError } from "../../src/model/error.ts";
import type { Piece } from "../../src/model/report.ts";
import { plain, type Phrase, type Table } from "../../src/model/phrase.ts";
import { context } from "../fakes.ts";

export interface Ran {
  readonly pieces: readonly Piece[];
  readonly events: readonly Event[];
  readonly document: unknown;
  readonly exitCode: number;
  readonly errors: readonly UserError[];
  /** The lines of stdout as people read them, tables with their cells. */
  readonly lines: readonly string[];
}

/** Of requests of verbs that can pull, where no flag says how. */
export const REGISTRY = { caFile: undefined, plainHttp: false, registryConfig: undefined, allowPublic: false };

type Flags = Readonly<Record<string, Given>>;

/** What a verb makes of words and raw flags. Throws a usage error. */
export function requestOf<F extends FlagSet, R>(verb: Verb<F, R>, words: readonly string[], flags: Flags = {}): R {
  return made(verb, words, new Map(Object.entries(flags)));
}

/** What a verb makes of a command line, as users write it after "kubectl checkpoint". */
export function requestOfLine<F extends FlagSet, R>(verb: Verb<F, R>, line: string): R {
  const read = readWords(line.split(" "), VERBS);
  return made(verb, read.words, parseFlags(read));
}

function made<F extends FlagSet, R>(verb: Verb<F, R>, words: readonly string[], given: GivenFlags): R {
  return verb.request(words, valuesOf(verb.flags, given), {});
}

/** Runs a verb as cli/ does, and keeps what it yields. Throws what it throws. */
export async function runVerb<F extends FlagSet, R>(verb: Verb<F, R>, words: readonly string[], flags: Flags = {}): Promise<Ran> {
  const call = { ...context(new AbortController().signal), terminal: false, stdin: () => process.stdin };
  const pieces: Piece[] = [];
  const running = verb.run(requestOf(verb, words, flags), call);
  let next = await running.next();
  for (; next.done !== true; next = await running.next()) pieces.push(next.value);
  const { document, exitCode } = next.value;
  return {
    pieces,
    events: call.events,
    document,
    exitCode,
    errors: pieces.flatMap(({ error }) => error ?? []),
    lines: pieces.flatMap(({ text }) => (text === undefined ? [] : linesOf(text))),
  };
}

function linesOf(text: Phrase | Table): string[] {
  if ("columns" in text) return [text.columns.join("|"), ...text.rows.map((row) => row.map(plain).join("|"))];
  return plain(text).split("\n");
}
