import { list, object, string, type Json } from "../model/json.ts";
import { callJson } from "./api.ts";
import { apiPath, type Connection } from "./connection.ts";

/** What is looked at of a node. */
export interface ClusterNode {
  readonly name: string;
  readonly ready: boolean;
  /** Why it is not. */
  readonly notReadyBecause: string;
  /** "linux", "windows"; empty where its kubelet has not told yet. */
  readonly os: string;
  /** The API object itself. */
  readonly object: Json;
}

const PAGE = 500;

/** All nodes. Throws an ApiFailure. */
export async function listNodes(connection: Connection): Promise<ClusterNode[]> {
  const nodes: ClusterNode[] = [];
  for (let next = ""; ;) {
    const query = { limit: String(PAGE), ...(next === "" ? {} : { continue: next }) };
    const page = object(await callJson(connection, { path: "/api/v1/nodes", query }));
    nodes.push(...list(page["items"]).map(readNodeObject));
    next = string(object(page["metadata"])["continue"]);
    if (next === "") return nodes;
  }
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
