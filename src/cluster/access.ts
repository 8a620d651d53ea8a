import { object, string } from "../model/json.ts";
import { callJson } from "./api.ts";
import type { Connection } from "./connection.ts";

/** One right that a verb needs. Without a namespace it is needed in the whole cluster. */
export interface Right {
  readonly verb: string;
  /** "" is the core group. */
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
}

/** Who gets rights, or lacks them. */
export interface Grantee {
  readonly kind: "user" | "group";
  readonly name: string;
}

/**
 * Those of the rights that the user lacks, asked with SelfSubjectAccessReview (which every user may create).
 * A right whose review fails counts as there: the answer names only what is known to be missing.
 */
export async function missingRights(connection: Connection, rights: readonly Right[]): Promise<Right[]> {
  const allowed = await Promise.all(rights.map(async (right) => await isAllowed(connection, right).catch(() => true)));
  return rights.filter((_, index) => allowed[index] === false);
}

/**
 * Those of the rights that somebody else lacks: of a user, what its groups have does not count. Undefined where that may not be asked.
 */
export async function missingRightsOf(connection: Connection, rights: readonly Right[], grantee: Grantee): Promise<Right[] | undefined> {
  const allowed = await Promise.all(rights.map(async (right) => await isAllowed(connection, right, grantee).catch(() => undefined)));
  return allowed.includes(undefined) ? undefined : rights.filter((_, index) => allowed[index] === false);
}

/**
 * Whether the user has a right, or somebody else: that is asked with SubjectAccessReview, which few may create.
 * Throws an ApiFailure.
 */
export async function isAllowed(connection: Connection, right: Right, other?: Grantee): Promise<boolean> {
  const { verb, group, resource, subresource, namespace } = right;
  const attributes = { verb, group, resource, ...(subresource ? { subresource } : {}), ...(namespace ? { namespace } : {}) };
  const kind = other === undefined ? "SelfSubjectAccessReview" : "SubjectAccessReview";
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind,
    spec: { resourceAttributes: attributes, ...subjectOf(other) },
  };
  const path = `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`;
  const review = object(await callJson(connection, { method: "POST", path, body, repeatable: true }));
  return object(review["status"])["allowed"] === true;
}

function subjectOf(grantee: Grantee | undefined): object {
  if (grantee === undefined) return {};
  return grantee.kind === "user" ? { user: grantee.name } : { groups: [grantee.name] };
}

/** `pods`, `nodes/proxy`, `jobs.batch`: as kubectl create role takes it. */
export function kindOf({ group, resource, subresource }: Right): string {
  return `${resource}${group === "" ? "" : `.${group}`}${subresource === undefined ? "" : `/${subresource}`}`;
}

/** `create nodes/proxy`, `get pods in namespace web`. */
export function describeRight(right: Right): string {
  return `${right.verb} ${kindOf(right)}${right.namespace === undefined ? "" : ` in namespace ${right.namespace}`}`;
}

/** The user's name to the cluster, by SelfSubjectReview; undefined where the server does not say. */
export async function whoAmI(connection: Connection): Promise<string | undefined> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const review = object(await callJson(connection, { method: "POST", path, body, repeatable: true }).catch(() => undefined));
  const info = object(object(review["status"])["userInfo"]);
  return string(info["username"]) || undefined;
}
