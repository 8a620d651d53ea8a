import type { Right } from "../cluster/access.ts";

/** What a helper pod needs in its namespace. exec does in place of port-forward. */
export function helperRights(namespace: string): Right[] {
  const right = (verb: string, resource: string, group = "", subresource?: string): Right => {
    return { verb, group, resource, namespace, ...(subresource === undefined ? {} : { subresource }) };
  };
  return [
    ...["create", "patch", "delete"].map((verb) => right(verb, "jobs", "batch")),
    right("list", "pods"),
    ...["get", "create"].map((verb) => right(verb, "pods", "", "portforward")),
  ];
}
