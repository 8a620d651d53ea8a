import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { say, type Phrase } from "../../model/phrase.ts";

/** How to take back one thing that was done. */
export interface Step {
  /** "delete pod/x". */
  readonly what: Phrase;
  /** What the user can do where that fails: a command, with what is not known said. */
  readonly byHand: Phrase;
  readonly back: () => Promise<void>;
  /** A look, not a change: before the others, which may take all the time that is left. */
  readonly first?: true;
}

/** A step that was taken; `keep`: it stays, whatever comes. */
export interface Taken {
  keep(): void;
}

/** An interrupted command has 5 s to clean up (src/cli): what is not done then is said in the last of them. */
const LAST_MS = 4000;

/**
 * What was done so far, each thing with the way to take it back, registered before it is done: whoever fails halfway does not know whether
 * it was. Taken back in reverse.
 */
export class Undo {
  /** For requests that end things, also after an interruption: aborted when there is no time for them any more. */
  readonly last: AbortSignal;
  readonly #steps: Step[] = [];
  readonly #emit: Context["emit"];

  constructor({ signal, emit }: Pick<Context, "signal" | "emit">) {
    this.#emit = emit;
    this.last = after(signal, LAST_MS);
  }

  add(step: Step): Taken {
    this.#steps.push(step);
    return {
      keep: () => {
        const index = this.#steps.indexOf(step);
        if (index >= 0) this.#steps.splice(index, 1);
      },
    };
  }

  keepAll(): void {
    this.#steps.length = 0;
  }

  /** Each is tried; what cannot be taken back is a warning. Never throws. */
  async run(): Promise<void> {
    const inOrder = [...this.#steps.filter(({ first }) => first !== true), ...this.#steps.filter(({ first }) => first === true)];
    this.#steps.splice(0, Infinity, ...inOrder);
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const { what, byHand, back } = step;
      try {
        await back();
      } catch (error) {
        this.#emit({ kind: "warning", text: say`cannot ${what}: ${wordsOf(error)}. ${byHand}` });
      }
    }
  }
}

/** Does work whose steps are taken back where it fails or is interrupted. */
export async function undoing<T>(context: Pick<Context, "signal" | "emit">, work: (undo: Undo) => Promise<T>): Promise<T> {
  const undo = new Undo(context);
  try {
    return await work(undo);
  } catch (error) {
    await undo.run();
    throw error;
  }
}

export function wordsOf(error: unknown): Phrase {
  if (error instanceof UserError) return error.whole;
  return say`${error instanceof Error ? error.message : String(error)}`;
}

/** A signal that follows another one after so many milliseconds. */
function after(signal: AbortSignal, milliseconds: number): AbortSignal {
  const late = new AbortController();
  const start = (): void => {
    const reason = new UserError({ reason: "NoTimeLeft", message: "the API server did not answer before the command ended" });
    setTimeout(() => late.abort(reason), milliseconds).unref();
  };
  if (signal.aborted) start();
  else signal.addEventListener("abort", start, { once: true });
  return late.signal;
}
