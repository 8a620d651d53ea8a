import { callJson } from "../../cluster/api.ts";
import { apiPath, type Connection } from "../../cluster/connection.ts";
import { getPod } from "../../cluster/pods.ts";
import { list, object, string } from "../../model/json.ts";

export interface Candidate {
  readonly value: string;
  readonly description?: string;
}

/** More are of no use to anybody, and slow to get. */
const LIMIT = 500;

/** What `kubectl logs` takes before a slash, by each of its names; the first is the one to offer. */
export const TYPES: readonly { readonly names: readonly string[]; readonly path: (namespace: string) => string }[] = [
  { names: ["pod", "pods", "po"], path: (namespace) => apiPath`/api/v1/namespaces/${namespace}/pods` },
  { names: ["deployment", "deployments", "deploy"], path: (namespace) => apiPath`/apis/apps/v1/namespaces/${namespace}/deployments` },
  { names: ["statefulset", "statefulsets", "sts"], path: (namespace) => apiPath`/apis/apps/v1/namespaces/${namespace}/statefulsets` },
  { names: ["daemonset", "daemonsets", "ds"], path: (namespace) => apiPath`/apis/apps/v1/namespaces/${namespace}/daemonsets` },
  { names: ["replicaset", "replicasets", "rs"], path: (namespace) => apiPath`/apis/apps/v1/namespaces/${namespace}/replicasets` },
  {
    names: ["replicationcontroller", "replicationcontrollers", "rc"],
    path: (namespace) => apiPath`/api/v1/namespaces/${namespace}/replicationcontrollers`,
  },
  { names: ["job", "jobs"], path: (namespace) => apiPath`/apis/batch/v1/namespaces/${namespace}/jobs` },
  { names: ["cronjob", "cronjobs", "cj"], path: (namespace) => apiPath`/apis/batch/v1/namespaces/${namespace}/cronjobs` },
  { names: ["service", "services", "svc"], path: (namespace) => apiPath`/api/v1/namespaces/${namespace}/services` },
];

/** The names in one page of a list, with their status and age: the table that kubectl get prints, without the objects. */
export async function names(connection: Connection, path: string): Promise<Candidate[]> {
  const accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
  const table = object(await callJson(connection, { path, query: { limit: String(LIMIT), includeObject: "None" }, accept }));
  const columns = list(table["columnDefinitions"]).map((column) => string(object(column)["name"]));
  const cellOf = (cells: readonly unknown[], column: string): string => string(cells[columns.indexOf(column)]);
  return list(table["rows"])
    .slice(0, LIMIT)
    .map((row) => {
      const cells = list(object(row)["cells"]);
      const description = ["Status", "Age"].map((column) => cellOf(cells, column)).filter((cell) => cell !== "");
      return { value: cellOf(cells, "Name"), description: description.join(", ") };
    });
}

/** The containers of a pod, those that run first; of TYPE/NAME, those that its pods have. */
export async function containersOf(connection: Connection, target: string): Promise<Candidate[]> {
  const [name = "", type] = target.split("/").toReversed();
  const { names: types, path } = TYPES.find((one) => one.names.includes(type ?? "pod")) ?? {};
  if (types === undefined || path === undefined) return [];
  if (!types.includes("pod")) return await templateContainers(connection, `${path(connection.namespace)}/${encodeURIComponent(name)}`);
  const { containers } = await getPod(connection, connection.namespace, name);
  const running = containers.filter(({ state }) => state.phase === "running");
  return [...running, ...containers.filter((container) => !running.includes(container))].map((container) => ({
    value: container.name,
    description: container.kind === "container" ? container.state.phase : `${container.kind}, ${container.state.phase}`,
  }));
}

async function templateContainers(connection: Connection, path: string): Promise<Candidate[]> {
  const spec = object(object(await callJson(connection, { path }))["spec"]);
  const template = object(object(object(spec["jobTemplate"])["spec"] ?? spec)["template"]);
  return list(object(template["spec"])["containers"]).map((container) => ({ value: string(object(container)["name"]) }));
}
