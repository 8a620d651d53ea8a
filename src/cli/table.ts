// The build puts a module of the same data in place of this one (.ci/build/table.ts), which imports no verb before it runs.
import { shapesOf, type FlagShape } from "../commands/shared/flags.ts";
import type { Verb } from "../commands/shared/verb.ts";
import { optionsText, verbHelp } from "./help.ts";
import { RUNNABLE, VERB_TEXTS } from "./verbs.ts";

/** What is known of a verb before it is loaded. */
export interface VerbEntry {
  /** "checkpoint" is the verb of a call without one. */
  readonly name: string;
  readonly summary: string;
  /** Lines after "kubectl checkpoint". */
  readonly usage: readonly string[];
  /** What --help prints. */
  readonly help: string;
  readonly flags: readonly FlagShape[];
  /** The exit status of every failure, where it is always the same. */
  readonly failureStatus?: number;
  /** Undefined for what cmd/ answers itself. */
  readonly load?: () => Promise<Verb>;
}

/** Every verb, in the order of help. The first one needs no word. */
export const VERBS: readonly [VerbEntry, ...VerbEntry[]] = [entry(VERB_TEXTS[0]), ...VERB_TEXTS.slice(1).map(entry)];

/** What `options` prints. */
export const OPTIONS: string = optionsText(VERB_TEXTS);

function entry(text: (typeof VERB_TEXTS)[number]): VerbEntry {
  const { name, summary, usage, flags } = text;
  const verb = RUNNABLE.find((one) => one === text);
  return {
    name,
    summary,
    usage,
    help: verbHelp(text, VERB_TEXTS),
    flags: shapesOf(flags),
    ...(verb?.failureStatus === undefined ? {} : { failureStatus: verb.failureStatus }),
    ...(verb === undefined ? {} : { load: async () => await Promise.resolve(verb) }),
  };
}
