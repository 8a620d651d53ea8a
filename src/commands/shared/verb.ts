import type { Readable } from "node:stream";
import type { Context } from "../../model/context.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { valuesOf, type FlagSet, type GivenFlags, type Values } from "./flags.ts";

/** What a verb may use of the outside. */
export interface Call extends Context {
  /** Whether somebody reads the results as they come. */
  readonly terminal: boolean;
  /** Standard input: an archive may come through it. Opened when it is first asked for. */
  readonly stdin: () => Readable;
}

export interface Example {
  readonly what: string;
  readonly command: string;
}

/** What users read of a verb: help, the manual and completion are made from it. */
export interface VerbText<F extends FlagSet = FlagSet> {
  /** "checkpoint" is the verb of a call without one. */
  readonly name: string;
  readonly summary: string;
  /** Lines after "kubectl checkpoint". */
  readonly usage: readonly string[];
  readonly description: string;
  readonly examples: readonly Example[];
  readonly flags: F;
}

/** A verb: flags -> request -> one flow -> what to show. */
export interface Verb<F extends FlagSet = FlagSet, R = unknown> extends VerbText<F> {
  /** The exit status of every failure: for verbs that answer as grep and diff do, where 1 is an answer. */
  readonly failureStatus?: 2;
  /** What the command line asks for; nothing is done yet. Throws a usage error. */
  request(words: readonly string[], flags: Values<F>, env: NodeJS.ProcessEnv): R;
  run(request: R, call: Call): AsyncGenerator<Piece, Outcome>;
}

/** Lets TypeScript find the types of a verb's flags and of its request. */
export function defineVerb<F extends FlagSet, R>(verb: Verb<F, R>): Verb<F, R> {
  return verb;
}

/** Runs a verb with what the command line has. Throws a usage error. */
export function start(verb: Verb, words: readonly string[], given: GivenFlags, call: Call): AsyncGenerator<Piece, Outcome> {
  return verb.run(verb.request(words, valuesOf(verb.flags, given), call.env), call);
}
