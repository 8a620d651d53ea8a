import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { listAll } from "../../../cluster/lists.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { command, joined, say, type Phrase } from "../../../model/phrase.ts";
import { MOVING, RESTORED_LABEL } from "../../../restore/pod.ts";
import type { FlowContext } from "../../context.ts";
import { isGoing, uidOf } from "../objects.ts";

/** What the copy says of itself while the move is under way. */
export interface CopyRecord {
  readonly from: { readonly name: string; readonly uid: string; readonly node: string };
  /** The one that is restored. */
  readonly container: string;
  /** RFC 3339; empty before there is a checkpoint. */
  readonly frozenAt: string;
  /** That it gets when the original is gone. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What the original says of itself while it is out of its Services. */
export interface QuietRecord {
  readonly to: string;
  /** The copy's name. */
  readonly copy: string;
  /** That were taken off. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Something that a move left which was ended by force. */
export type Leftover =
  | { readonly kind: "copy"; readonly namespace: string; readonly pod: Json; readonly name: string; readonly record: CopyRecord }
  | { readonly kind: "original"; readonly namespace: string; readonly pod: Json; readonly name: string; readonly record: QuietRecord };

/** Labels that a controller finds its own pods by: with them, a copy would be one more of them, and be deleted as such. */
const OF_CONTROLLERS = new Set([
  "pod-template-hash",
  "controller-revision-hash",
  "pod-template-generation",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "controller-uid",
  "batch.kubernetes.io/controller-uid",
  "job-name",
  "batch.kubernetes.io/job-name",
  "batch.kubernetes.io/job-completion-index",
]);

/** The labels that a pod has of its own, and those of its controller that its copy does not get. */
export function ownLabels(pod: Json): { labels: Record<string, string>; dropped: string[] } {
  const { labels, ownerReferences } = object(pod["metadata"]);
  const quiet = quietRecord(pod)?.labels ?? {};
  const all = Object.entries({ ...strings(labels), ...quiet }).filter(([key]) => key !== MOVING && key !== RESTORED_LABEL);
  const isOwned = list(ownerReferences).length > 0;
  const isDropped = ([key]: [string, string]): boolean => isOwned && OF_CONTROLLERS.has(key);
  return {
    labels: Object.fromEntries(all.filter((entry) => !isDropped(entry))),
    dropped: all.filter(isDropped).map(([key]) => key),
  };
}

/** Pods in a namespace that moves have left behind or are at work on. Throws an ApiFailure. */
export async function leftoversIn({ connection }: Pick<FlowContext, "connection">, namespace: string): Promise<Leftover[]> {
  const path = apiPath`/api/v1/namespaces/${namespace}/pods`;
  const { items } = await listAll(connection, { path, labelSelector: MOVING });
  return items.flatMap((pod) => leftoverOf(pod) ?? []);
}

/** Of these pods. Throws an ApiFailure where one cannot be read. */
export async function leftoversNamed(
  { connection }: Pick<FlowContext, "connection">,
  namespace: string,
  names: readonly string[],
): Promise<Leftover[]> {
  const pods = names.map(async (name) => {
    const path = apiPath`/api/v1/namespaces/${namespace}/pods/${name}`;
    const absent = (error: unknown): undefined => {
      if (!(error instanceof ApiFailure && error.status === 404)) throw error;
    };
    return object(await callJson(connection, { path }).catch(absent));
  });
  return (await Promise.all(pods)).flatMap((pod) => leftoverOf(pod) ?? []);
}

function leftoverOf(pod: Json): Leftover | undefined {
  const metadata = object(pod["metadata"]);
  const about = { namespace: string(metadata["namespace"]), name: string(metadata["name"]), pod };
  if (isGoing(pod)) return undefined;
  const copy = copyRecord(pod);
  if (copy !== undefined) return { kind: "copy", ...about, record: copy };
  const quiet = quietRecord(pod);
  return quiet === undefined ? undefined : { kind: "original", ...about, record: quiet };
}

function recordIn(pod: Json, kind: "copy" | "original"): Json | undefined {
  const { labels, annotations } = object(pod["metadata"]);
  if (object(labels)[MOVING] !== kind) return undefined;
  try {
    return object(JSON.parse(string(object(annotations)[MOVING])));
  } catch {
    return undefined;
  }
}

export function copyRecord(pod: Json): CopyRecord | undefined {
  const record = recordIn(pod, "copy");
  const from = object(record?.["from"]);
  if (string(from["uid"]) === "") return undefined;
  return {
    from: { name: string(from["name"]), uid: string(from["uid"]), node: string(from["node"]) },
    container: string(record?.["container"]),
    frozenAt: string(record?.["frozenAt"]),
    labels: strings(record?.["labels"]),
  };
}

export function quietRecord(pod: Json): QuietRecord | undefined {
  const record = recordIn(pod, "original");
  return record === undefined ? undefined : { to: string(record["to"]), copy: string(record["copy"]), labels: strings(record["labels"]) };
}

function strings(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(object(value)).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

/** A merge patch that gives a pod these labels, and takes the marks of a move off it. */
export function finished(labels: Readonly<Record<string, string>>): { metadata: object } {
  return { metadata: { labels: { ...labels, [MOVING]: null }, annotations: { [MOVING]: null } } };
}

/** The same by hand. */
export function finishCommand(namespace: string, name: string, labels: Readonly<Record<string, string>>): Phrase {
  const words = [...Object.entries(labels).map(([key, value]) => `${key}=${value}`), `${MOVING}-`];
  return command`kubectl label pod ${name} -n ${namespace} --overwrite ${words}`;
}

/** What became of the pod that a copy was made of. Throws where that cannot be seen. */
export async function originalRuns(
  { connection }: Pick<FlowContext, "connection">,
  namespace: string,
  record: CopyRecord,
): Promise<boolean> {
  const path = apiPath`/api/v1/namespaces/${namespace}/pods/${record.from.name}`;
  try {
    const pod = object(await callJson(connection, { path }));
    return uidOf(pod) === record.from.uid && !isGoing(pod);
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return false;
    throw error;
  }
}

/** What doctor says of a leftover: what it is, and what ends it. */
export interface LeftMove {
  readonly message: Phrase;
  readonly fix: Phrase;
}

/** In a namespace. Throws an ApiFailure. */
export async function leftMoves(context: Pick<FlowContext, "connection">, namespace: string): Promise<LeftMove[]> {
  const found = await leftoversIn(context, namespace);
  return await Promise.all(found.map(async (one) => await described(context, one)));
}

async function described(context: Pick<FlowContext, "connection">, leftover: Leftover): Promise<LeftMove> {
  const { namespace, name } = leftover;
  if (leftover.kind === "original") {
    const labels = joined(
      Object.entries(leftover.record.labels).map(([key, value]) => say`${key}=${value}`),
      ", ",
    );
    return {
      message: say`pod/${name} in namespace ${namespace} is being moved, or its move was killed: it is out of its Services, without the labels ${labels}`,
      fix: say`if no move of it is running: ${finishCommand(namespace, name, leftover.record.labels)}`,
    };
  }
  const { record } = leftover;
  const { from } = record;
  const isSecond = await originalRuns(context, namespace, record).catch(() => undefined);
  if (isSecond === undefined)
    return {
      message: say`pod/${name} in namespace ${namespace} is the copy of a move of pod/${from.name} that is running, or was killed`,
      fix: command`kubectl get pod ${from.name} ${name} -n ${namespace}`,
    };
  if (isSecond)
    return {
      message: say`pod/${name} in namespace ${namespace} is a second copy of pod/${from.name}, which is running: a move of it is running, or was killed`,
      fix: say`if no move of it is running: ${command`kubectl delete pod ${name} -n ${namespace}`}`,
    };
  return {
    message: say`pod/${name} in namespace ${namespace} took over from pod/${from.name}, but does not have its labels yet: the move is running, or was killed`,
    fix: say`if no move of it is running: ${finishCommand(namespace, name, record.labels)}`,
  };
}
