import { AbortPromptError, ExitPromptError } from "@inquirer/core";
import { createPromptModule } from "inquirer";
import { styleText } from "node:util";
import type { Asking, Picker } from "../../model/context.ts";
import { Interrupted } from "../../model/error.ts";
import type { Phrase } from "../../model/phrase.ts";
import { laidOut } from "../layout.ts";
import { plainText } from "../render.ts";
import { BACK, choose, confirm } from "./choose.ts";
import { CANCELLED, FORMER_SCREEN, OWN_SCREEN, pick } from "./pick.ts";

/** "? " before a question, and " (y/N) yes" behind it. */
const [MARK, ANSWER] = [2, 10];

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
    const answer = await interruptible(confirm({ question: () => this.#laidOut(question) }, this.#context()));
    this.#answered(question, answer ? "yes" : "no");
    return answer;
  }

  async secret(question: Phrase): Promise<string> {
    const ask = createPromptModule(this.#streams);
    const message = plainText(question);
    return (await interruptible(ask<{ answer: string }>([{ type: "password", name: "answer", message }]))).answer;
  }

  async choose<T>(question: Phrase, choices: readonly { readonly value: T; readonly label: Phrase }[]): Promise<{ value: T } | undefined> {
    const labels = choices.map(({ label }) => plainText(label));
    const answer = await interruptible(choose({ question: () => this.#laidOut(question), labels }, this.#context()));
    if (answer === BACK) return undefined;
    this.#answered(question, labels[answer] ?? "");
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
  #answered(question: Phrase, answer: string): void {
    this.#streams.output.write(`${styleText("green", "✔")} ${this.#laidOut(question, answer.length + 1)} ${styleText("cyan", answer)}\n`);
  }

  /** Beside its mark, broken between words, with room for an answer. */
  #laidOut(question: Phrase, answer = ANSWER): string {
    const columns = (this.#streams.output.columns || 80) - MARK;
    const width = Math.max(columns - answer, Math.floor(columns / 2));
    return laidOut(question, width, (text) => text, 0).replaceAll("\n", `\n${" ".repeat(MARK)}`);
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
