import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { recordPath } from "../../archive/record.ts";
import { bundlePath } from "../../evidence/names.ts";
import { ApiFailure } from "../../cluster/answer.ts";
import { getPod, type Pod } from "../../cluster/pods.ts";
import type { Helpers } from "../../helper/helpers.ts";
import type { Directory } from "../../local/directory.ts";
import { UserError } from "../../model/error.ts";
import { location } from "../../model/location.ts";
import { joined, say } from "../../model/phrase.ts";
import { formatSeconds } from "../../model/units.ts";
import { captureOne, type Captured } from "./one.ts";
import type { FlowContext } from "../context.ts";
import type { VerbContext } from "../rights.ts";
import type { CopyPlan } from "../collect/copy/prepare.ts";
import type { ContainerTarget } from "./targets/containers.ts";

export interface SeriesRequest {
  readonly target: ContainerTarget;
  readonly everyMs: number;
  /** Turns; undefined is until the pod ends or the command is stopped. */
  readonly count: number | undefined;
  /** How many archives of this series are kept; undefined is all. */
  readonly keep: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly proveMs: number;
  readonly plan: CopyPlan | undefined;
  /** For what is removed from the node. */
  readonly helpers: Helpers | undefined;
}

/**
 * A series of checkpoints of one container, a normal archive each, at fixed times: turns that were missed are logged, never
 * piled up. Ends when the count is reached, the pod ends, or the command is stopped; throws where the pod may not be read any more.
 */
export async function* takeSeries(context: VerbContext, request: SeriesRequest): AsyncGenerator<Captured> {
  const { everyMs, count = Infinity, timeoutMs, proveMs, plan } = request;
  const { signal, emit, now } = context;
  const begun = now();
  const kept: Captured[] = [];
  let { target } = request;
  let turn = 0;
  for (let taken = 0; taken < count; taken += 1) {
    const captured = await captureOne(context, target, { timeoutMs, proveMs });
    // Each turn has volumes of its own.
    plan?.volumes?.brought.clear();
    const result =
      plan === undefined ? captured : await (await import("../collect/copy/captured.ts")).copyCaptured(context, target, captured, plan);
    yield result;
    if (isKept(result, plan)) kept.push(result);
    await retain(context, request, kept);
    if (taken + 1 >= count || signal.aborted) return;

    let next: Awaited<ReturnType<typeof refreshed>>;
    do {
      const due = Math.floor((now() - begun) / everyMs) + 1;
      if (due > turn + 1)
        emit({
          kind: "warning",
          text: say`${due - turn - 1} turns of the series were missed: the last one took longer than ${formatSeconds(everyMs / 1000)}`,
        });
      turn = due;
      await waitUntil(context, begun + due * everyMs, target);
      next = await refreshed(context, target);
    } while (next === "missed");
    if (next === "ended") return;
    target = next;
  }
}

async function waitUntil({ signal, emit, now }: FlowContext, at: number, { pod, container }: ContainerTarget): Promise<void> {
  const lane = "series";
  while (now() < at) {
    emit({
      kind: "activity",
      lane,
      text: say`next checkpoint of container ${container.name} in pod/${pod.name} in ${formatSeconds((at - now()) / 1000)}`,
    });
    await sleep(Math.min(1000, at - now()), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  emit({ kind: "idle", lane });
}

/**
 * The container as it is now; "ended" where the pod has, which ends the series, "missed" where that cannot be seen at this moment.
 * Notes a restart. Throws where the user may not see it any more.
 */
async function refreshed(
  { connection, emit }: FlowContext,
  { pod: before, container: known }: ContainerTarget,
): Promise<ContainerTarget | "ended" | "missed"> {
  let pod: Pod;
  try {
    pod = await getPod(connection, before.namespace, before.name);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const status = error instanceof ApiFailure ? error.status : undefined;
    if (status === 401 || status === 403) throw error;
    if (status !== 404) {
      emit({ kind: "warning", text: say`a turn of the series was missed: ${error.whole}` });
      return "missed";
    }
    emit({ kind: "hint", text: say`pod/${before.name} is gone: the series ends` });
    return "ended";
  }
  const container = pod.containers.find(({ name }) => name === known.name);
  const ended = pod.uid !== before.uid || /^(Succeeded|Failed)$/.test(pod.phase);
  if (ended || container === undefined) {
    emit({ kind: "hint", text: say`pod/${before.name} has ended: the series ends` });
    return "ended";
  }
  if (container.containerID !== known.containerID) {
    emit({
      kind: "warning",
      text: say`container ${known.name} in pod/${pod.name} was restarted (restarts: ${container.restartCount}): the series continues with the new container`,
    });
  }
  return { pod, container };
}

/** Whether the archive of a turn is where the series keeps its archives: on this machine with --copy, else on its node. */
function isKept({ archive, item }: Captured, plan: CopyPlan | undefined): boolean {
  return plan === undefined ? archive !== undefined : item.copy !== undefined;
}

/**
 * Removes the oldest archives of this series beyond those to keep, wherever they are, and says so. Nothing else is ever removed. What
 * cannot be removed now stays in `kept`, for the next time.
 */
async function retain(context: FlowContext, request: SeriesRequest, kept: Captured[]): Promise<void> {
  const { keep = Infinity } = request;
  for (let [oldest] = kept; oldest !== undefined && kept.length > keep; [oldest] = kept) {
    try {
      const removed = await remove(request, oldest);
      context.emit({ kind: "hint", text: say`${joined(removed, " and ")} removed: --keep ${keep}` });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      context.emit({ kind: "warning", text: say`cannot remove an old archive of the series this time: ${error.whole}` });
      return;
    }
    kept.shift();
  }
}

/** What was removed. Throws a UserError where an archive stays. */
async function remove(
  { helpers, plan }: SeriesRequest,
  { item: { copy, volumes, removedFromNode }, archive }: Captured,
): Promise<string[]> {
  const removed: string[] = [];
  if (copy?.path !== undefined && plan !== undefined) {
    await removeHere(plan.destination.directory, copy.path, copy.encrypted?.bytes ?? copy.bytes);
    removed.push(copy.path);
  }
  if (volumes !== undefined && plan !== undefined) {
    await removeHere(plan.destination.directory, volumes.path, volumes.encrypted?.bytes ?? volumes.bytes);
    removed.push(volumes.path);
  }
  if (archive === undefined || removedFromNode === true || helpers === undefined) return removed;
  await using directory = helpers.directory(archive.node, "write");
  try {
    await directory.remove(directory.nameOf(archive.path));
  } catch (error) {
    // Somebody has removed it already.
    if (!(error instanceof UserError && error.reason === "ArchiveNotFound")) throw error;
  }
  return [...removed, location(archive)];
}

/** An archive, its record and its signature, as long as it is what this series has written. */
async function removeHere(directory: Directory, path: string, bytes: number): Promise<void> {
  const name = basename(path);
  const there = await directory.look(name);
  if (there !== undefined && (there.kind !== "file" || there.bytes !== bytes)) {
    throw new UserError({ reason: "RemovalFailed", message: say`${path} is not the archive that this series wrote; it was not removed` });
  }
  await directory.remove(name);
  for (const beside of [recordPath(name), `${recordPath(name)}.age`, bundlePath(name)]) await directory.remove(beside);
}
