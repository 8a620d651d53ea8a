import { list, object, string, type Json } from "../model/json.ts";
import { callJson } from "./api.ts";
import { apiPath, type Connection } from "./connection.ts";
import { listAll } from "./lists.ts";

/** What is looked at of a node. */
export interface ClusterNode {
  readonly name: string;
  readonly ready: boolean;
  /** Why it is not. */
  readonly notReadyBecause: string;
  /** "linux", "windows"; empty until its kubelet has registered it. */
  readonly os: string;
  /** The API object itself. */
  readonly object: Json;
}

/** All nodes. Throws an ApiFailure. */
export async function listNodes(connection: Connection): Promise<ClusterNode[]> {
  return (await listAll(connection, { path: "/api/v1/nodes" })).items.map(readNodeObject);
}

/** Throws an ApiFailure. */
export async function getNode(connection: Connection, name: string): Promise<ClusterNode> {
  return readNodeObject(await callJson(connection, { path: apiPath`/api/v1/nodes/${name}` }));
}

export function readNodeObject(value: unknown): ClusterNode {
  const node = object(value);
  const status = object(node["status"]);
  const ready = condition(node, "Ready");
  return {
    name: string(object(node["metadata"])["name"]),
    ready: ready["status"] === "True",
    notReadyBecause: string(ready["message"]) || string(ready["reason"]),
    os: string(object(status["nodeInfo"])["operatingSystem"]),
    object: node,
  };
}

/** One of the conditions in its status; empty where it has none of that type. */
export function condition(node: Json, type: string): Json {
  const conditions = list(object(node["status"])["conditions"]).map(object);
  return conditions.find((one) => one["type"] === type) ?? {};
}
