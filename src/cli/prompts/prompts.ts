import { AbortPromptError, ExitPromptError } from "@inquirer/core";
import { createPromptModule } from "inquirer";
import type { Asking, Picker } from "../../model/context.ts";
import { Interrupted } from "../../model/error.ts";
import type { Phrase } from "../../model/phrase.ts";
import { plainText } from "../render.ts";
import { CANCELLED, pick } from "./pick.ts";

/** Where questions are asked. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stderr: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

/** Questions through inquirer, drawn on stderr. Ctrl-C and Esc end the command as SIGINT does. */
export class Prompts implements Asking {
  readonly possible = true;
  readonly #streams: { input: NodeJS.ReadStream; output: NodeJS.WriteStream; signal: AbortSignal };

  constructor({ stdin, stderr, signal }: Terminal) {
    this.#streams = { input: stdin, output: stderr, signal };
  }

  async confirm(question: Phrase): Promise<boolean> {
    const ask = createPromptModule(this.#streams);
    const { answer } = await interruptible(
      ask<{ answer: boolean }>([{ type: "confirm", name: "answer", message: plainText(question), default: false }]),
    );
    return answer;
  }

  async secret(question: Phrase): Promise<string> {
    const ask = createPromptModule(this.#streams);
    const message = plainText(question);
    return (await interruptible(ask<{ answer: string }>([{ type: "password", name: "answer", message }]))).answer;
  }

  async choose<T>(question: Phrase, choices: readonly { readonly value: T; readonly label: Phrase }[]): Promise<T> {
    const ask = createPromptModule(this.#streams);
    const options = choices.map(({ label }, value) => ({ name: plainText(label), value }));
    const { answer } = await interruptible(
      ask<{ answer: number }>([{ type: "select", name: "answer", message: plainText(question), choices: options }]),
    );
    return (choices[answer] as { value: T }).value;
  }

  async pick<T>(picker: Picker<T>): Promise<T> {
    const config = { ...(picker as Picker<unknown>), screen: this.#streams.output };
    const picked = await interruptible(pick(config, { ...this.#streams, clearPromptOnDone: true }));
    if (picked === CANCELLED) throw new Interrupted("SIGINT");
    return picked as T;
  }
}

async function interruptible<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ExitPromptError) throw new Interrupted("SIGINT");
    if (error instanceof AbortPromptError) throw error.cause;
    throw error;
  }
}
