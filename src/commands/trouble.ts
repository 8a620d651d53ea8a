import { Interrupted, UserError } from "../model/error.ts";

/** The same failure with exit status 2: for verbs that answer as grep and diff do, where 1 is an answer. */
export function trouble(error: unknown): Error {
  if (error instanceof Interrupted) return error;
  if (error instanceof UserError) {
    const { reason, message, why, fix } = error;
    return new UserError({ reason, message, why, fix, exitCode: 2, cause: error });
  }
  return new UserError({
    reason: "InternalError",
    message: `internal error: ${error instanceof Error ? error.message : String(error)}`,
    why: "this is a bug in kubectl checkpoint",
    fix: "run it again with -v=9 and report what it prints",
    exitCode: 2,
    cause: error,
  });
}
