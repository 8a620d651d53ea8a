import type { Command } from "../../commands/command.ts";

/** A flag, as data. Flags of one name take the same in every verb: the first pass over the words depends on it. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  /** "optional" values only come with "=". */
  readonly takes: "nothing" | "value" | "values" | "optional";
  /** What stands for the value in help: NAME, D, FILE. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly help: string;
}

export interface Example {
  readonly what: string;
  readonly command: string;
}

/** A verb, as data: help, parsing, completion and the manual are all made from it. */
export interface Verb {
  /** "checkpoint" is the verb of a call without one. */
  readonly name: string;
  readonly summary: string;
  /** Lines after "kubectl checkpoint". */
  readonly usage: readonly string[];
  readonly description: string;
  readonly examples: readonly Example[];
  readonly flags: readonly FlagSpec[];
  /** Shown in help after the verb's own. */
  readonly sharedFlags: readonly FlagGroup[];
  /** Undefined for what cmd/ answers itself. */
  readonly load?: () => Promise<Command>;
}

export interface FlagGroup {
  readonly title: string;
  readonly flags: readonly FlagSpec[];
}
