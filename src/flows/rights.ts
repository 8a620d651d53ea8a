import { ApiFailure } from "../cluster/answer.ts";
import { describeRight, grantCommands, missingRights, whoAmI, type Right } from "../cluster/access.ts";
import type { Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";

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
