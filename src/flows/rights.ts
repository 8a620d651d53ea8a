import { ApiFailure } from "../cluster/answer.ts";
import { describeRight, missingRights, whoAmI, type Right } from "../cluster/access.ts";
import type { Connection } from "../cluster/connection.ts";
import { grantCommands } from "../cluster/grants.ts";
import { UserError } from "../model/error.ts";

export { helperRights } from "../helper/rights.ts";

/**
 * Runs what needs the rights; where the API server forbids it, the error names every one of them that the user lacks,
 * not only the first, and how to grant them.
 */
export async function needing<T>(connection: Connection, rights: readonly Right[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ApiFailure && error.status === 403 ? await explainForbidden(connection, rights, error) : error;
  }
}

/** As needing, for a flow whose failure is in its outcome. */
export async function needingInOutcome<T extends { readonly failure?: { readonly error: UserError } }>(
  connection: Connection,
  rights: readonly Right[],
  outcome: T,
): Promise<T> {
  const error = outcome.failure?.error;
  if (!(error instanceof ApiFailure) || error.status !== 403) return outcome;
  return { ...outcome, failure: { ...outcome.failure, error: await explainForbidden(connection, rights, error) } };
}

async function explainForbidden(connection: Connection, rights: readonly Right[], error: ApiFailure): Promise<UserError> {
  const [missing, user] = await Promise.all([missingRights(connection, rights), whoAmI(connection)]);
  const subject = user ?? /User "([^"]+)"/.exec(error.message)?.[1];
  if (missing.length === 0 || subject === undefined) return error;
  return new UserError({
    reason: "Forbidden",
    message: `${subject} may not do this in the cluster: ${missing.map(describeRight).join(", ")} ${missing.length === 1 ? "is" : "are"} missing`,
    why: error.message,
    fix: `a cluster admin does once:\n${grantCommands(missing, subject)}`,
    cause: error,
  });
}
