import type { UserError } from "./error.ts";
import type { Phrase, Table } from "./phrase.ts";

/** One thing that a command has to show. The printer picks the form that -o asks for; commands never print. */
export interface Piece {
  /** For people, on stdout. */
  readonly text?: Phrase | Table;
  /** For -o name, one line on stdout. */
  readonly name?: string;
  /** For -o json|yaml, printed at once; the usual single document goes into the outcome instead. */
  readonly document?: object;
  /** For stdout exactly as they are, whatever the format: only where the user asked for them there. */
  readonly bytes?: AsyncIterable<Uint8Array>;
  /** Told on stderr whatever the format; the command goes on. */
  readonly error?: UserError;
}

export interface Outcome {
  /** For -o json|yaml. */
  readonly document?: object;
  readonly exitCode: number;
}
