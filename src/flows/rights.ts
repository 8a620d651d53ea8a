import { ApiFailure } from "../cluster/answer.ts";
import { describeRight, missingRights, whoAmI, type Right } from "../cluster/access.ts";
import type { Connection } from "../cluster/connection.ts";
import { grantCommands } from "../cluster/grants.ts";
import { workloadRights } from "../cluster/workloads.ts";
import { helperRights, withoutSpareRights } from "../helper/rights.ts";
import type { UserError } from "../model/error.ts";
import type { CriuOptions } from "./capture/criu-options.ts";
import type { FlowContext } from "./context.ts";
import { joined, say } from "../model/phrase.ts";

export { helperRights };

/** What is needed, or how that is found out: which is done only where something was refused. */
export type Rights = readonly Right[] | (() => Promise<readonly Right[]>);

/**
 * A flow's context with what its whole verb needs. Flows hand their context on, so that what is refused deep in one is reported
 * together with the rest.
 */
export interface VerbContext extends FlowContext {
  readonly rights?: Rights;
  /** Of --criu-option: on the node while a checkpoint there is under way. */
  readonly criuOptions?: CriuOptions | undefined;
}

/**
 * Runs what needs the rights; where the API server forbids it, the error names every one of them that the user lacks,
 * not only the first, and how to grant them. What is refused within another `requireRights` is reported with the rights of both.
 */
export async function requireRights<T>(connection: Connection, rights: Rights, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ApiFailure && error.status === 403 ? await explainForbidden(connection, rights, error) : error;
  }
}

/** As requireRights, for a flow whose failure is in its outcome. */
export async function withMissingRights<T extends { readonly failure?: { readonly error: UserError } }>(
  connection: Connection,
  rights: Rights,
  outcome: T,
): Promise<T> {
  const error = outcome.failure?.error;
  if (!(error instanceof ApiFailure) || error.status !== 403) return outcome;
  return { ...outcome, failure: { ...outcome.failure, error: await explainForbidden(connection, rights, error) } };
}

/**
 * Looks before anything is done whether the user has these rights. Throws an ApiFailure that names all that are missing; what cannot be
 * asked counts as there.
 */
export async function ensureRights(connection: Connection, rights: readonly Right[]): Promise<void> {
  const found = await missingRights(connection, rights);
  const missing = found.length === 0 ? found : await withoutSpareRights(connection, found);
  if (missing.length === 0) return;
  const refusal = new ApiFailure({ status: 403, reason: "Forbidden", message: "asked by access reviews before anything was done" });
  throw new Forbidden(refusal, missing, (await whoAmI(connection)) ?? "this user");
}

/** Explained once, and still a refusal for the `requireRights` around. */
class Forbidden extends ApiFailure {
  readonly refusal: ApiFailure;
  readonly missing: readonly Right[];

  constructor(refusal: ApiFailure, missing: readonly Right[], subject: string) {
    super({
      status: refusal.status,
      reason: "Forbidden",
      message: say`user "${subject}" is missing ${missing.length === 1 ? "this permission" : "these permissions"}: ${joined(missing.map(describeRight), ", ")}`,
      why: refusal.message,
      fix: say`a cluster admin runs once:\n${grantCommands(missing, { kind: "user", name: subject })}`,
      cause: refusal,
    });
    this.refusal = refusal;
    this.missing = missing;
  }
}

async function explainForbidden(connection: Connection, rights: Rights, error: ApiFailure): Promise<ApiFailure> {
  const [refusal, known] = error instanceof Forbidden ? [error.refusal, error.missing] : [error, []];
  const needed = typeof rights === "function" ? await rights().catch(() => []) : rights;
  const [found, user] = await Promise.all([missingRights(connection, needed), whoAmI(connection)]);
  const missing = await withoutSpareRights(connection, distinct([...found, ...known]));
  const subject = user ?? /User "([^"]+)"/.exec(refusal.message)?.[1];
  return missing.length === 0 || subject === undefined ? error : new Forbidden(refusal, missing, subject);
}

function distinct(rights: readonly Right[]): Right[] {
  return [...new Map(rights.map((right) => [describeRight(right), right])).values()];
}

/** Who takes checkpoints, and what their command line asks for besides. */
export interface CheckpointNeeds {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** Whether pods are looked for, not only named. */
  readonly listed: boolean;
  /** As TYPE/NAME has them. */
  readonly workloads: readonly string[];
  /** Undefined where no helper pod is needed. */
  readonly helperNamespace: string | undefined;
}

/** What `kubectl checkpoint` itself needs. */
export function checkpointRights({ namespace, listed, workloads, helperNamespace }: CheckpointNeeds): Right[] {
  const scope = namespace === undefined ? {} : { namespace };
  return distinct([
    ...workloads.flatMap(workloadRights).map((right) => ({ ...right, ...scope })),
    ...(listed ? [{ verb: "list", group: "", resource: "pods", ...scope }] : []),
    { verb: "get", group: "", resource: "pods", ...scope },
    { verb: "create", group: "", resource: "nodes", subresource: "proxy" },
    ...(helperNamespace === undefined ? [] : helperRights(helperNamespace)),
  ]);
}
