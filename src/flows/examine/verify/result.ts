/** An archive and what is wrong with it: a sentence each, without a full stop. */
export interface Verification {
  readonly path: string;
  readonly problems: readonly string[];
  /** What is worth knowing, and wrong with nothing. */
  readonly notes: readonly string[];
  /** Those that were made, in their order. */
  readonly checks: readonly CheckResult[];
}

/** What came of one check. */
export interface CheckResult {
  /** Its name, which scripts may rely on. */
  readonly check: string;
  /** "missing": there is nothing to check by. */
  readonly status: "ok" | "missing" | "wrong";
  readonly message: string;
  /** It was asked for: that it is missing is a problem. */
  readonly required?: true | undefined;
}

/** Of checks that have one message each. */
export function problemsOf(checks: readonly CheckResult[]): string[] {
  return checks.flatMap(({ status, message, required }) =>
    status === "wrong" || (status === "missing" && required === true) ? [message] : [],
  );
}
