import { listPods, isRunning, type Pod } from "../cluster/pods.ts";
import { memoryOnNode } from "../kubelet/memory.ts";
import type { PickerRow } from "../model/context.ts";
import { UserError } from "../model/error.ts";
import { formatAge, formatBytes } from "../model/units.ts";
import type { FlowContext } from "./context.ts";
import { findPod, type ContainerTarget } from "./targets.ts";

const PAGE = 500;
/** Pending pods too: their init containers may run. */
const NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed";
/** Choices that an error lists where no question may be asked. */
const LISTED = 50;

/**
 * Lets the person at the terminal pick a running container: of the namespace, or of one pod. Where no question may be
 * asked, throws ChoiceNeeded with the choices (exit status 2).
 */
export async function pickContainer(context: FlowContext, pod?: Pod): Promise<ContainerTarget> {
  const { ask, connection } = context;
  if (!ask.possible) throw await choices(context);
  const rows = pod === undefined ? pagesOfRows(context) : onePage(rowsOf(context, pod));
  const question = pod === undefined ? `Container to checkpoint in namespace ${connection.namespace}` : `Container of pod/${pod.name}`;
  const detail = { column: "MEMORY", of: memoryReader(context) };
  const picked = await ask.pick<ContainerTarget>({ question, columns: ["POD", "CONTAINER", "NODE", "AGE"], rows, detail });
  // The row may be old by now: the pod as it is, or an error that says that it has gone.
  return await refreshed(context, picked);
}

/** Asks each node once, when the first of its containers comes into view. */
function memoryReader({ connection }: FlowContext): (target: ContainerTarget) => Promise<string> {
  const nodes = new Map<string, Promise<Map<string, number>>>();
  return async ({ pod, container }) => {
    const asked = nodes.get(pod.node) ?? memoryOnNode(connection, pod.node);
    nodes.set(pod.node, asked);
    const bytes = (await asked).get(`${pod.namespace}/${pod.name}/${container.name}`);
    return bytes === undefined ? "" : formatBytes(bytes);
  };
}

async function refreshed(context: FlowContext, { pod, container }: ContainerTarget): Promise<ContainerTarget> {
  const now = await findPod(context, pod.name);
  const same = now.containers.find(({ name }) => name === container.name);
  if (now.uid === pod.uid && same !== undefined) return { pod: now, container: same };
  throw new UserError({
    reason: "PodGone",
    message: `pod/${pod.name} was replaced while you were choosing`,
    fix: "run the command again",
  });
}

async function* pagesOfRows(context: FlowContext): AsyncGenerator<PickerRow<ContainerTarget>[]> {
  const { connection } = context;
  const options = { limit: PAGE, fieldSelector: NOT_ENDED };
  for await (const pods of listPods(connection, connection.namespace, options)) yield pods.flatMap((pod) => rowsOf(context, pod));
}

async function* onePage<T>(rows: T[]): AsyncGenerator<T[]> {
  yield rows;
}

function rowsOf({ now }: FlowContext, pod: Pod): PickerRow<ContainerTarget>[] {
  return pod.containers.filter(isRunning).map((container) => ({
    value: { pod, container },
    cells: [pod.name, container.name, pod.node, formatAge(now() - pod.createdAt)],
  }));
}

async function choices(context: FlowContext): Promise<UserError> {
  const found: string[] = [];
  for await (const rows of pagesOfRows(context)) {
    found.push(...rows.map(({ cells: [pod, container] }) => `kubectl checkpoint ${pod} -c ${container}`));
    if (found.length > LISTED) break;
  }
  const { namespace } = context.connection;
  const more = found.length > LISTED ? "\n…" : "";
  return new UserError({
    reason: "ChoiceNeeded",
    message: "which container? No pod was named, and no question can be asked here",
    fix:
      found.length === 0
        ? `nothing runs in namespace ${namespace}: give -n NAME`
        : `one of, with -n ${namespace}:\n${found.slice(0, LISTED).join("\n")}${more}`,
    exitCode: 2,
  });
}
