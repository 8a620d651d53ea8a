import { AbortPromptError, ExitPromptError } from "@inquirer/core";
import { createPromptModule } from "inquirer";
import { styleText } from "node:util";
import type { Asking, Picker } from "../../model/context.ts";
import { Interrupted } from "../../model/error.ts";
import type { Phrase } from "../../model/phrase.ts";
import { plainText } from "../render.ts";
import { BACK, choose, confirm } from "./choose.ts";
import { CANCELLED, FORMER_SCREEN, OWN_SCREEN, pick } from "./pick.ts";

/** Where questions are asked. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stderr: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

/** Questions through inquirer, drawn on stderr. Ctrl-C ends the command as SIGINT does, and so does Esc where there is nothing to go back to. */
export class Prompts implements Asking {
  readonly possible = true;
  readonly #streams: { input: NodeJS.ReadStream; output: NodeJS.WriteStream; signal: AbortSignal };

  constructor({ stdin, stderr, signal }: Terminal) {
    this.#streams = { input: stdin, output: stderr, signal };
  }

  async confirm(question: Phrase): Promise<boolean> {
    const text = plainText(question);
    const answer = await interruptible(confirm({ question: text }, this.#context()));
    this.#answered(text, answer ? "yes" : "no");
    return answer;
  }

  async secret(question: Phrase): Promise<string> {
    const ask = createPromptModule(this.#streams);
    const message = plainText(question);
    return (await interruptible(ask<{ answer: string }>([{ type: "password", name: "answer", message }]))).answer;
  }

  async choose<T>(question: Phrase, choices: readonly { readonly value: T; readonly label: Phrase }[]): Promise<{ value: T } | undefined> {
    const text = plainText(question);
    const labels = choices.map(({ label }) => plainText(label));
    const answer = await interruptible(choose({ question: text, labels }, this.#context()));
    if (answer === BACK) return undefined;
    this.#answered(text, labels[answer] ?? "");
    return choices[answer];
  }

  async pick<T>(picker: Picker<T>): Promise<readonly T[]> {
    const { output } = this.#streams;
    const config = { ...(picker as Picker<unknown>), screen: output };
    output.write(OWN_SCREEN);
    const picked = await interruptible(pick(config, this.#context())).finally(() => output.write(FORMER_SCREEN));
    if (picked === CANCELLED) throw new Interrupted("SIGINT");
    return picked as readonly T[];
  }

  #context() {
    return { ...this.#streams, clearPromptOnDone: true };
  }

  /** What was asked and answered stays on the screen. */
  #answered(question: string, answer: string): void {
    this.#streams.output.write(`${styleText("green", "✔")} ${question} ${styleText("cyan", answer)}\n`);
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
