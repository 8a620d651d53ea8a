import { missingRights, type Right } from "../cluster/access.ts";
import type { Connection } from "../cluster/connection.ts";

/** What a helper pod needs in its namespace. exec does in place of port-forward. */
export function helperRights(namespace: string): Right[] {
  return [
    ...["create", "patch", "delete"].map((verb) => right(namespace, verb, "jobs", "batch")),
    right(namespace, "list", "pods"),
    ...["get", "create"].map((verb) => right(namespace, verb, "pods", "", "portforward")),
  ];
}

/** What does in place of port-forward, slower. */
export function execRights(namespace: string): Right[] {
  return ["get", "create"].map((verb) => right(namespace, verb, "pods", "", "exec"));
}

export function isPortForward({ resource, subresource }: Right): boolean {
  return resource === "pods" && subresource === "portforward";
}

/** Of rights that are missing, those that nothing stands in for: port-forward is not missed where exec is allowed. */
export async function withoutSpareRights(connection: Connection, missing: readonly Right[]): Promise<Right[]> {
  const namespace = missing.find(isPortForward)?.namespace;
  const spare = namespace !== undefined && (await missingRights(connection, execRights(namespace))).length === 0;
  return missing.filter((one) => !(spare && isPortForward(one)));
}

function right(namespace: string, verb: string, resource: string, group = "", subresource?: string): Right {
  return { verb, group, resource, namespace, ...(subresource === undefined ? {} : { subresource }) };
}
