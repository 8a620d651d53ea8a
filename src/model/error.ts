import { phraseOf, plain, say, type Phrase, type Text } from "./phrase.ts";

/** What a user can be told about a failure. Untrusted text in it is a value of its phrases; a text alone is one value. */
export interface Explanation {
  /** A stable CamelCase word that scripts may rely on. */
  readonly reason: string;
  /** What happened, in the user's terms, without a full stop. */
  readonly message: Text;
  readonly why?: Text | undefined;
  /** What to do, ready to paste: `command`. */
  readonly fix?: Text | undefined;
}

/** What the terminal shows: values in it are still apart, so that they can be escaped. */
interface Said {
  readonly message: Phrase;
  readonly why: Phrase | undefined;
  readonly fix: Phrase | undefined;
}

/** The only error that users are meant to see. Anything else that is thrown is a bug, and is reported as one. */
export class UserError extends Error {
  readonly reason: string;
  readonly said: Said;
  /** As plain text, as documents have them; `message` too. */
  readonly why: string | undefined;
  readonly fix: string | undefined;
  /** 2 where the command line itself was wrong or incomplete, 3 where something was done and stays. */
  readonly exitCode: 1 | 2 | 3;

  constructor(explanation: Explanation & { readonly exitCode?: 1 | 2 | 3; readonly cause?: unknown }) {
    const { reason, exitCode = 1, cause } = explanation;
    const message = phraseOf(explanation.message);
    super(plain(message), cause === undefined ? undefined : { cause });
    this.name = "UserError";
    this.reason = reason;
    this.said = { message, why: optional(explanation.why), fix: optional(explanation.fix) };
    this.why = this.said.why && plain(this.said.why);
    this.fix = this.said.fix && plain(this.said.fix);
    this.exitCode = exitCode;
  }

  /** What happened and why, in one sentence. */
  get whole(): Phrase {
    const { message, why } = this.said;
    return why === undefined ? message : say`${message}: ${why}`;
  }
}

function optional(text: Text | undefined): Phrase | undefined {
  return text === undefined ? undefined : phraseOf(text);
}

/** What an error of Node.js says, without its advice to who starts a script with it. */
export function systemText(error: Error): string {
  const text = error instanceof AggregateError ? error.errors.map((one) => (one as Error).message).join("; ") : error.message;
  return text.replaceAll(/; if the root CA is installed locally, try running Node\.js with --use-system-ca/g, "");
}

/** The command line is wrong: exit status 2. */
export function usageError(message: Text, fix?: Text): UserError {
  return new UserError({ reason: "Usage", message, fix, exitCode: 2 });
}

/** The exit status of a command that did `count` things, of which these went wrong: 3 where others went well. */
export function exitCodeFor(errors: readonly UserError[], count: number): number {
  const [first] = errors;
  if (first === undefined) return 0;
  return errors.length < count ? 3 : first.exitCode;
}

/** The reason an AbortSignal carries after SIGINT and its kind. */
export class Interrupted extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.name = "Interrupted";
    this.signal = signal;
  }
}
