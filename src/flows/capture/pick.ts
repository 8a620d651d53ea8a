import { listPods, NOT_ENDED, type Pod } from "../../cluster/pods.ts";
import { memoryOnNode } from "../../kubelet/memory.ts";
import type { Detail, PickerLeft, PickerRow } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
import { command, joined, say, type Phrase } from "../../model/phrase.ts";
import { counted, formatAge, formatBytes } from "../../model/units.ts";
import type { FlowContext } from "../context.ts";
import { matchingContainers, type ContainerTarget } from "./targets/containers.ts";
import { findPod } from "./targets/find.ts";

/** What can be picked from: one pod, or the pods of the namespace or of all. */
export type Choice = { readonly pod: Pod } | { readonly allNamespaces: boolean; readonly containers: readonly string[] };

/** What a row stands for: of ten thousand pods no more is kept. */
interface Candidate {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  readonly node: string;
}

/** Choices that an error lists where no question may be asked. */
const LISTED = 50;

/**
 * Lets the person at the terminal pick running containers: several, where it is not said of which pod. Where no question may be asked, throws ChoiceNeeded with the
 * choices (exit status 2).
 */
export async function pickContainers(context: FlowContext, choice: Choice, left?: PickerLeft): Promise<ContainerTarget[]> {
  const { ask, connection } = context;
  const everywhere = "allNamespaces" in choice && choice.allNamespaces;
  const rows = "pod" in choice ? onePage(rowsOf(context, choice.pod, false)) : pagesOfRows(context, everywhere, choice.containers);
  if (!ask.possible) throw await choices(context, rows, everywhere);
  const place = everywhere ? "any namespace" : `namespace ${connection.namespace}`;
  const picked = await ask.pick<Candidate>({
    question: "pod" in choice ? `Container of pod/${choice.pod.name}:` : `Container to checkpoint in ${place}:`,
    columns: [...(everywhere ? ["NAMESPACE"] : []), "POD", "CONTAINER", "NODE", "AGE"],
    rows,
    detail: { column: "MEMORY", of: memoryReader(context) },
    several: true,
    id: ({ uid, container }) => `${uid}/${container}`,
    ...(left === undefined ? {} : { left }),
  });
  return await Promise.all(picked.map(async (one) => await asItIsNow(context, one)));
}

/** Asks each node once, when the first of its containers comes into view. */
function memoryReader({ connection }: FlowContext): (candidate: Candidate) => Promise<Detail> {
  const nodes = new Map<string, Promise<Map<string, number>>>();
  return async ({ namespace, pod, container, node }) => {
    if (node === "") return { text: "" };
    const asked = nodes.get(node) ?? memoryOnNode(connection, node);
    nodes.set(node, asked);
    const bytes = (await asked).get(`${namespace}/${pod}/${container}`);
    return bytes === undefined ? { text: "" } : { text: formatBytes(bytes), amount: bytes };
  };
}

/** The row may be old by now: the pod is read again. */
async function asItIsNow(context: FlowContext, { namespace, pod: name, uid, container: wanted }: Candidate): Promise<ContainerTarget> {
  const pod = await findPod(context, name, namespace);
  const container = pod.containers.find((one) => one.name === wanted);
  if (pod.uid === uid && container !== undefined) return { pod, container };
  throw new UserError({ reason: "PodGone", message: say`pod/${name} was replaced while you were choosing`, fix: "rerun the command" });
}

async function* pagesOfRows(
  context: FlowContext,
  everywhere: boolean,
  containers: readonly string[],
): AsyncGenerator<PickerRow<Candidate>[]> {
  const { connection } = context;
  const query = { namespace: everywhere ? undefined : connection.namespace, fieldSelector: NOT_ENDED };
  for await (const pods of listPods(connection, query)) yield pods.flatMap((pod) => rowsOf(context, pod, everywhere, containers));
}

async function* onePage<T>(rows: T[]): AsyncGenerator<T[]> {
  yield rows;
}

function rowsOf({ now }: FlowContext, pod: Pod, everywhere: boolean, containers: readonly string[] = []): PickerRow<Candidate>[] {
  const { namespace, name, uid, node } = pod;
  return matchingContainers(pod, containers.length === 0 ? ["*"] : containers).map((container) => ({
    value: { namespace, pod: name, uid, container: container.name, node },
    cells: [...(everywhere ? [namespace] : []), name, container.name, node, formatAge(now() - pod.createdAt)],
    since: pod.createdAt,
    about: `image ${imageOf(pod, container.name)}, ${counted(container.restartCount, "restart")}`,
  }));
}

/** As the pod's author wrote it. */
function imageOf({ object: { spec } }: Pod, container: string): string {
  const { initContainers, containers, ephemeralContainers } = object(spec);
  const all = [initContainers, containers, ephemeralContainers].flatMap((some) => list(some)).map(object);
  return string(all.find(({ name }) => name === container)?.["image"]) || "unknown";
}

async function choices({ connection }: FlowContext, pages: AsyncIterable<PickerRow<Candidate>[]>, everywhere: boolean): Promise<UserError> {
  const found: Phrase[] = [];
  for await (const rows of pages) {
    found.push(
      ...rows.map(
        ({ value }) =>
          command`kubectl checkpoint ${value.pod} -c ${value.container}${everywhere ? command` -n ${value.namespace}` : say``}`,
      ),
    );
    if (found.length > LISTED) break;
  }
  const where = everywhere ? say`` : command`, with -n ${connection.namespace}`;
  const list = say`one of${where}:\n${joined(found.slice(0, LISTED), "\n")}${found.length > LISTED ? say`\n…` : say``}`;
  return new UserError({
    reason: "ChoiceNeeded",
    message: "POD is required",
    fix:
      found.length > 0
        ? list
        : everywhere
          ? "no container is running"
          : say`no container is running in namespace ${connection.namespace}: give -n NAME`,
    exitCode: 2,
  });
}
