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

/**
 * Those of the rights that the user lacks, asked with SelfSubjectAccessReview (which every user may create).
 * A right whose review fails counts as there: the answer names only what is known to be missing.
 */
export async function missingRights(connection: Connection, rights: readonly Right[]): Promise<Right[]> {
  const allowed = await Promise.all(rights.map(async (right) => await isAllowed(connection, right).catch(() => true)));
  return rights.filter((_, index) => allowed[index] === false);
}

async function isAllowed(connection: Connection, { verb, group, resource, subresource, namespace }: Right): Promise<boolean> {
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: { verb, group, resource, ...(subresource ? { subresource } : {}), ...(namespace ? { namespace } : {}) } },
  };
  const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  const review = object(await callJson(connection, { method: "POST", path, body }));
  return object(review["status"])["allowed"] === true;
}

/** `create nodes/proxy`, `get pods in namespace web`. */
export function describeRight(right: Right): string {
  return `${right.verb} ${kindOf(right)}${right.namespace === undefined ? "" : ` in namespace ${right.namespace}`}`;
}

/** `pods`, `nodes/proxy`, `jobs.batch`: as kubectl create role takes it. */
function kindOf({ group, resource, subresource }: Right): string {
  return `${resource}${group === "" ? "" : `.${group}`}${subresource === undefined ? "" : `/${subresource}`}`;
}

/** Commands that grant the rights, for somebody who may: a role a resource, so that nothing else is granted with it. */
export function grantCommands(rights: readonly Right[], user: string): string {
  const groups = Map.groupBy(rights, (right) => `${right.namespace ?? ""} ${kindOf(right)}`);
  return [...groups.values()]
    .flatMap((group) => {
      const [{ namespace }] = group as [Right, ...Right[]];
      const kind = kindOf((group as [Right])[0]);
      const role = namespace === undefined ? "clusterrole" : "role";
      const suffix = namespace === undefined ? "" : ` -n ${namespace}`;
      const name = `kubectl-checkpoint-${kind.replaceAll(/[./]/g, "-")}`;
      const binding = `${name}-${user.replaceAll(/[^a-z0-9]+/gi, "-").toLowerCase()}`;
      const verbs = group.map((right) => right.verb).join(",");
      return [
        `kubectl create ${role} ${name} --verb=${verbs} --resource=${kind}${suffix}`,
        `kubectl create ${role}binding ${binding} --${role}=${name} ${subjectFlag(user)}${suffix}`,
      ];
    })
    .join("\n");
}

function subjectFlag(user: string): string {
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user);
  return account === null ? `--user=${quoted(user)}` : `--serviceaccount=${account[1]}:${account[2]}`;
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The user's name to the cluster, by SelfSubjectReview; undefined where it cannot be told. */
export async function whoAmI(connection: Connection): Promise<string | undefined> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const review = object(await callJson(connection, { method: "POST", path, body }).catch(() => undefined));
  const info = object(object(review["status"])["userInfo"]);
  return string(info["username"]) || undefined;
}
