import { missingRights, missingRightsOf, whoAmI, type Grantee, type Right } from "../../cluster/access.ts";
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
  /** Whose rights were asked about; undefined where the API server does not know the user. */
  readonly who: Grantee | undefined;
  /** Whether the rights of somebody else could not be asked about: then all count as missing. */
  readonly unasked: boolean;
  readonly needed: NeededRights;
  readonly missing: ReadonlySet<Right>;
  readonly helperNamespace: string;
  /** Whether it would take the helper pod; "unasked" where that may not be asked, or no node is known. */
  readonly admission: "admitted" | "forbidden" | "no node" | UserError;
}

/** Throws no UserError. `node` is one that a helper pod might go to. */
export async function askCluster(
  connection: Connection,
  helpers: Helpers,
  namespace: string,
  node: string | undefined,
  other?: Grantee,
): Promise<ClusterFacts> {
  const { server } = connection;
  const version = await orError(async () => string(object(await callJson(connection, { path: "/version" }))["gitVersion"]));
  const user = version instanceof UserError ? undefined : await whoAmI(connection);
  if (version instanceof UserError || user === undefined) {
    const needed = neededRights(namespace, "");
    return {
      server,
      version: version instanceof UserError ? version : notKnown(),
      who: undefined,
      unasked: false,
      needed,
      missing: new Set(),
      helperNamespace: "",
      admission: "no node",
    };
  }
  const helperNamespace = await helpers.namespace();
  const needed = neededRights(namespace, helperNamespace);
  const all = Object.values(needed).flat();
  const [missing, admission] = await Promise.all([
    other === undefined ? missingRights(connection, all) : missingRightsOf(connection, all, other),
    node === undefined ? ("no node" as const) : orError(async () => await askAdmission(connection, helpers, node)),
  ]);
  const who = other ?? { kind: "user", name: user };
  return { server, version, who, unasked: missing === undefined, needed, missing: new Set(missing ?? all), helperNamespace, admission };
}

async function askAdmission(connection: Connection, helpers: Helpers, node: string): Promise<"admitted" | "forbidden"> {
  return (await ensureAdmitted(connection, await helpers.request(node, "read"))) ? "admitted" : "forbidden";
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
