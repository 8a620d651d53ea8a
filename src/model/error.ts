/** What a user can be told about a failure. `fix` is ready to paste; all of it may hold untrusted text, which cli/ escapes. */
export interface Explanation {
  /** A stable CamelCase word that scripts may rely on. */
  readonly reason: string;
  /** What happened, in the user's terms, without a full stop. */
  readonly message: string;
  readonly why?: string | undefined;
  readonly fix?: string | undefined;
}

/** The only error that users are meant to see. Anything else that is thrown is a bug, and is reported as one. */
export class UserError extends Error implements Explanation {
  readonly reason: string;
  readonly why: string | undefined;
  readonly fix: string | undefined;
  /** 2 where the command line itself was wrong or incomplete. */
  readonly exitCode: 1 | 2;

  constructor(what: Explanation & { readonly exitCode?: 1 | 2; readonly cause?: unknown }) {
    super(what.message, what.cause === undefined ? undefined : { cause: what.cause });
    this.name = "UserError";
    this.reason = what.reason;
    this.why = what.why;
    this.fix = what.fix;
    this.exitCode = what.exitCode ?? 1;
  }
}

/** The command line is wrong: exit status 2. */
export function usageError(message: string, fix?: string): UserError {
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
