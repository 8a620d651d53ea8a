import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiFailure } from "../cluster/answer.ts";
import { getPod, type Pod } from "../cluster/pods.ts";
import type { Helpers } from "../helper/helpers.ts";
import { say } from "../model/phrase.ts";
import { formatSeconds } from "../model/units.ts";
import { captureOne, type Captured } from "./capture.ts";
import type { FlowContext } from "./context.ts";
import type { CopyPlan } from "./copy/plan.ts";
import type { ContainerTarget } from "./targets/target.ts";

export interface SeriesRequest {
  readonly target: ContainerTarget;
  readonly everyMs: number;
  /** Turns; undefined is until the pod ends or the command is stopped. */
  readonly count: number | undefined;
  /** How many archives of this series are kept; undefined is all. */
  readonly keep: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly plan: CopyPlan | undefined;
  /** For what is removed from the node; the kubelet's directory there. */
  readonly helpers: Helpers | undefined;
  readonly checkpointDir: string;
}

/**
 * A series of checkpoints of one container, a normal archive each, at fixed times: turns that were missed are logged, never
 * piled up. Ends when the count is reached, the pod ends, or the command is stopped.
 */
export async function* takeSeries(context: FlowContext, request: SeriesRequest): AsyncGenerator<Captured> {
  const { everyMs, count = Infinity, timeoutMs, plan } = request;
  const { signal, emit, now } = context;
  const begun = now();
  const kept: Captured[] = [];
  let { target } = request;
  let turn = 0;
  for (let taken = 0; taken < count; taken += 1) {
    const captured = await captureOne(context, target, { timeoutMs });
    const result = plan === undefined ? captured : await (await import("./copy/plan.ts")).copyCaptured(context, target, captured, plan);
    yield result;
    if (result.archive !== undefined) kept.push(result);
    await retain(request, kept);
    if (taken + 1 >= count || signal.aborted) return;

    const due = Math.floor((now() - begun) / everyMs) + 1;
    if (due > turn + 1)
      emit({
        kind: "warning",
        text: say`${due - turn - 1} turns of the series were missed: the last one took longer than ${formatSeconds(everyMs / 1000)}`,
      });
    turn = due;
    await waitUntil(context, begun + due * everyMs, target);
    const next = await refreshed(context, target);
    if (next === undefined) return;
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

/** The container as it is now; undefined where the pod has ended, which ends the series. Notes a restart. */
async function refreshed(
  { connection, emit }: FlowContext,
  { pod: before, container: known }: ContainerTarget,
): Promise<ContainerTarget | undefined> {
  let pod: Pod;
  try {
    pod = await getPod(connection, before.namespace, before.name);
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 404)) throw error;
    emit({ kind: "hint", text: say`pod/${before.name} is gone: the series ends` });
    return undefined;
  }
  const container = pod.containers.find(({ name }) => name === known.name);
  const ended = pod.uid !== before.uid || /^(Succeeded|Failed)$/.test(pod.phase);
  if (ended || container === undefined) {
    emit({ kind: "hint", text: say`pod/${before.name} has ended: the series ends` });
    return undefined;
  }
  if (container.containerID !== known.containerID) {
    emit({
      kind: "warning",
      text: say`container ${known.name} in pod/${pod.name} was restarted (restarts: ${container.restartCount}): the series goes on with the new one`,
    });
  }
  return { pod, container };
}

/** Removes the oldest archives of this series beyond those to keep, wherever they are. Nothing else is ever removed. */
async function retain({ keep, helpers, checkpointDir }: SeriesRequest, kept: Captured[]): Promise<void> {
  if (keep === undefined) return;
  for (const { item, archive } of kept.splice(0, Math.max(0, kept.length - keep))) {
    if (item.copy?.path !== undefined) {
      await rm(item.copy.path, { force: true });
      if (item.copy.record !== undefined) await rm(item.copy.record, { force: true });
    }
    if (archive === undefined || item.removedFromNode === true || helpers === undefined) continue;
    const { archiveName } = await import("../helper/files.ts");
    await using lease = helpers.on(archive.node, "write");
    const { files, signal } = await lease.helper();
    await files.remove(archiveName(archive.path, checkpointDir), signal);
  }
}
