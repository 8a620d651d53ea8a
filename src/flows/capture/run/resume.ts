import { ApiFailure } from "../../../cluster/answer.ts";
import { getPod, type Pod } from "../../../cluster/pods.ts";
import { itemError, type CheckpointItem } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { nodeArchive } from "../../../model/location.ts";
import { say } from "../../../model/phrase.ts";
import type { Captured } from "../one.ts";
import type { FlowContext } from "../../context.ts";
import type { ContainerTarget } from "../targets/containers.ts";
import type { RunDocument, RunItem } from "./state.ts";

/** What of a run is still to be done. */
export interface Rest {
  /** Finished before. */
  readonly done: readonly CheckpointItem[];
  readonly targets: readonly ContainerTarget[];
  /** Of these the archive is made; only what comes after it is missing. */
  readonly captured: ReadonlyMap<ContainerTarget, Captured>;
  /** What cannot be taken any more. */
  readonly lost: readonly (Captured & { readonly error: UserError })[];
}

/** Looks up what a run lacks. Says where a container has been replaced since: its checkpoint will be of another process. */
export async function restOf(context: FlowContext, { items, options }: RunDocument): Promise<Rest> {
  const rest = {
    done: [] as CheckpointItem[],
    targets: [] as ContainerTarget[],
    captured: new Map<ContainerTarget, Captured>(),
    lost: [] as Rest["lost"][number][],
  };
  for (const item of items) {
    const { result } = item;
    if (result !== undefined && isDone(result, options.copy)) {
      rest.done.push(result);
      continue;
    }
    const found = await find(context, item);
    if (result?.nodePath !== undefined) {
      const { error: _, ...without } = result;
      const target = found instanceof UserError || found.pod.uid !== item.podUID ? asItWas(item, result) : found;
      rest.targets.push(target);
      rest.captured.set(target, { item: without, archive: nodeArchive(item.node, result.nodePath) });
      continue;
    }
    if (found instanceof UserError) {
      rest.lost.push(lost(item, found, context.now()));
      continue;
    }
    rest.targets.push(found);
    if (found.pod.uid !== item.podUID || found.container.containerID !== item.containerID) {
      context.emit({
        kind: "warning",
        text: say`container ${item.container} of pod/${item.pod} has been replaced since the run began: its checkpoint will be of the new one`,
      });
    }
  }
  return rest;
}

function isDone({ nodePath, copy, removedFromNode }: CheckpointItem, wanted: { readonly remove: boolean } | undefined): boolean {
  if (nodePath === undefined) return false;
  return wanted === undefined || (copy !== undefined && (!wanted.remove || removedFromNode === true));
}

async function find(
  { connection }: FlowContext,
  { namespace, pod: name, container: wanted }: RunItem,
): Promise<ContainerTarget | UserError> {
  let pod: Pod;
  try {
    pod = await getPod(connection, namespace, name);
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 404)) throw error;
    return new UserError({ reason: "PodGone", message: say`pod/${name} is gone since the run began`, cause: error });
  }
  const container = pod.containers.find((one) => one.name === wanted);
  return container === undefined
    ? new UserError({ reason: "NoSuchContainer", message: say`pod/${name} has no container ${wanted} any more` })
    : { pod, container };
}

/** The container of an archive that only has to be copied: it runs no more, or in another pod. Of the pod's object nothing is known. */
function asItWas({ namespace, pod, podUID, container, containerID, node }: RunItem, result: CheckpointItem): ContainerTarget {
  const { imageID, restartCount } = result;
  const state = { phase: "waiting", reason: "", message: "" } as const;
  const one = { name: container, kind: "container", state, containerID, imageID, restartCount } as const;
  const found = { namespace, name: pod, uid: podUID, node, createdAt: NaN, phase: "Unknown", defaultContainer: undefined };
  return { pod: { ...found, containers: [one], object: {} }, container: one };
}

function lost(
  { namespace, pod, podUID, container, containerID, node, result }: RunItem,
  error: UserError,
  now: number,
): Captured & { readonly error: UserError } {
  const at = new Date(now).toISOString();
  const fresh = {
    namespace,
    pod,
    podUID,
    container,
    containerID,
    imageID: "",
    node,
    startedAt: at,
    finishedAt: at,
    seconds: 0,
    restartCount: 0,
  };
  return { item: { ...(result ?? fresh), error: itemError("checkpoint", error) }, error };
}
