import type { Readable } from "node:stream";
import type { Context } from "../model/context.ts";
import type { Flags } from "../model/flags.ts";
import type { Outcome, Piece } from "../model/report.ts";

/** A call of a verb: its words and raw flags, and all that it may use of the outside. */
export interface Call extends Context {
  readonly words: readonly string[];
  readonly flags: Flags;
  /** Whether somebody reads the results as they come. */
  readonly terminal: boolean;
  /** Standard input: an archive may come through it. Opened when it is first asked for. */
  readonly stdin: () => Readable;
}

/** A verb's code: flags -> request -> one flow -> what to show. */
export interface Command {
  run(call: Call): AsyncGenerator<Piece, Outcome>;
}
