import { UserError } from "../model/error.ts";
import { list, object, string, type Json } from "../model/json.ts";
import { command, say } from "../model/phrase.ts";
import type { Right } from "./access.ts";
import { callJson } from "./api.ts";
import { apiPath, type Connection } from "./connection.ts";
import { listAll } from "./lists.ts";

/** What stands for pods on a command line: as kubectl logs takes it, and cronjobs. */
interface Kind {
  readonly names: RegExp;
  readonly path: string;
  readonly resource: string;
  /** Services and replication controllers have a plain map of labels. */
  readonly selector: "labelSelector" | "map";
}

const KINDS: readonly Kind[] = [
  { names: /^(deployments?|deploy)(\..*)?$/, path: "/apis/apps/v1", resource: "deployments", selector: "labelSelector" },
  { names: /^(replicasets?|rs)(\..*)?$/, path: "/apis/apps/v1", resource: "replicasets", selector: "labelSelector" },
  { names: /^(statefulsets?|sts)(\..*)?$/, path: "/apis/apps/v1", resource: "statefulsets", selector: "labelSelector" },
  { names: /^(daemonsets?|ds)(\..*)?$/, path: "/apis/apps/v1", resource: "daemonsets", selector: "labelSelector" },
  { names: /^(replicationcontrollers?|rc)$/, path: "/api/v1", resource: "replicationcontrollers", selector: "map" },
  { names: /^jobs?(\..*)?$/, path: "/apis/batch/v1", resource: "jobs", selector: "labelSelector" },
  { names: /^(services?|svc)$/, path: "/api/v1", resource: "services", selector: "map" },
];
const CRONJOB = /^(cronjobs?|cj)(\..*)?$/;

/** Whether pods stand behind things of this type. */
export function isWorkloadType(type: string): boolean {
  return CRONJOB.test(type) || KINDS.some(({ names }) => names.test(type));
}

/** What finding the pods behind a thing of this type takes. */
export function workloadRights(type: string): Right[] {
  if (CRONJOB.test(type))
    return [
      { verb: "get", group: "batch", resource: "cronjobs" },
      { verb: "list", group: "batch", resource: "jobs" },
    ];
  return KINDS.filter(({ names }) => names.test(type)).map(({ path, resource }) => {
    return { verb: "get", group: /^\/apis\/(\w+)\//.exec(path)?.[1] ?? "", resource };
  });
}

/**
 * The label selector of the pods behind TYPE/NAME; of a cronjob, those of its newest job.
 * Throws an ApiFailure where it is not there, a UserError where it selects nothing.
 */
export async function workloadSelector(connection: Connection, namespace: string, type: string, name: string): Promise<string> {
  if (CRONJOB.test(type)) return selectorText(object(await newestJob(connection, namespace, name)), "labelSelector", `cronjob/${name}`);
  const kind = KINDS.find(({ names }) => names.test(type));
  if (kind === undefined) throw new Error(`no kind ${type}`);
  const path = `${kind.path}${apiPath`/namespaces/${namespace}/${kind.resource}/${name}`}`;
  return selectorText(object(await callJson(connection, { path })), kind.selector, `${type}/${name}`);
}

async function newestJob(connection: Connection, namespace: string, name: string): Promise<Json> {
  const cronjob = object(await callJson(connection, { path: apiPath`/apis/batch/v1/namespaces/${namespace}/cronjobs/${name}` }));
  const uid = object(cronjob["metadata"])["uid"];
  const { items: jobs } = await listAll(connection, { path: apiPath`/apis/batch/v1/namespaces/${namespace}/jobs` });
  const created = (job: Json): string => string(object(job["metadata"])["creationTimestamp"]);
  const own = jobs.filter((job) => list(object(job["metadata"])["ownerReferences"]).some((owner) => object(owner)["uid"] === uid));
  const [newest] = own.sort((a, b) => created(b).localeCompare(created(a)));
  if (newest === undefined)
    throw new UserError({
      reason: "NothingMatches",
      message: say`cronjob/${name} has no job yet`,
      fix: command`kubectl get jobs -n ${namespace}`,
    });
  return newest;
}

function selectorText(workload: Json, form: Kind["selector"], what: string): string {
  const selector = object(object(workload["spec"])["selector"]);
  const labels = object(form === "map" ? selector : selector["matchLabels"]);
  const terms = Object.entries(labels).map(([key, value]) => `${key}=${string(value)}`);
  for (const expression of list(form === "map" ? [] : selector["matchExpressions"]).map(object)) terms.push(expressionText(expression));
  if (terms.length === 0) throw new UserError({ reason: "NothingMatches", message: say`${what} selects no pods` });
  return terms.join(",");
}

function expressionText({ key, operator, values }: Json): string {
  const among = `(${list(values).map(string).join(",")})`;
  const text = {
    In: `${string(key)} in ${among}`,
    NotIn: `${string(key)} notin ${among}`,
    Exists: string(key),
    DoesNotExist: `!${string(key)}`,
  }[string(operator)];
  if (text === undefined)
    throw new UserError({ reason: "AnswerInvalid", message: say`a selector has the unknown operator "${string(operator)}"` });
  return text;
}
