import { missingRights, whoAmI, type Right } from "../../cluster/access.ts";
import { callJson } from "../../cluster/api.ts";
import type { Connection } from "../../cluster/connection.ts";
import { ensureAdmitted } from "../../helper/admission.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { UserError } from "../../model/error.ts";
import { object, string } from "../../model/json.ts";
import { neededRights, type NeededRights } from "../rights.ts";

/** What the API server tells. */
export interface ClusterFacts {
  readonly server: string;
  /** "v1.36.3"; or why it does not answer. */
  readonly version: string | UserError;
  readonly user: string | undefined;
  readonly needed: NeededRights;
  readonly missing: ReadonlySet<Right>;
  readonly helperNamespace: string;
  /** Whether it would take the helper pod; "unasked" where that may not be asked, or no node is known. */
  readonly admission: "admitted" | "unasked" | UserError;
}

/** Throws no UserError. `node` is one that a helper pod might go to. */
export async function askCluster(
  connection: Connection,
  helpers: Helpers,
  namespace: string,
  node: string | undefined,
): Promise<ClusterFacts> {
  const { server } = connection;
  const version = await orError(async () => string(object(await callJson(connection, { path: "/version" }))["gitVersion"]));
  const user = version instanceof UserError ? undefined : await whoAmI(connection);
  if (version instanceof UserError || user === undefined) {
    const needed = neededRights(namespace, "");
    return {
      server,
      version: version instanceof UserError ? version : notKnown(),
      user,
      needed,
      missing: new Set(),
      helperNamespace: "",
      admission: "unasked",
    };
  }
  const helperNamespace = await helpers.namespace();
  const needed = neededRights(namespace, helperNamespace);
  const [missing, admission] = await Promise.all([
    missingRights(connection, Object.values(needed).flat()),
    node === undefined ? ("unasked" as const) : orError(async () => await askAdmission(connection, helpers, node)),
  ]);
  return { server, version, user, needed, missing: new Set(missing), helperNamespace, admission };
}

async function askAdmission(connection: Connection, helpers: Helpers, node: string): Promise<"admitted" | "unasked"> {
  return (await ensureAdmitted(connection, await helpers.request(node, "read"))) ? "admitted" : "unasked";
}

function notKnown(): UserError {
  return new UserError({
    reason: "Unauthorized",
    message: "the API server does not accept these credentials",
    fix: "log in again; kubectl auth whoami tells who you are to the cluster",
  });
}

export async function orError<T>(work: () => Promise<T>): Promise<T | UserError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}
