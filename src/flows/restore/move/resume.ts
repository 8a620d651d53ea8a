import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string } from "../../../model/json.ts";
import { joined, say, type Phrase } from "../../../model/phrase.ts";
import { agreeTo } from "../../consent.ts";
import type { FlowContext } from "../../context.ts";
import { ensureGone, uidOf } from "../objects.ts";
import { wordsOf } from "../undo.ts";
import { watchRestore, type Restored } from "../watch.ts";
import { untouched } from "./before.ts";
import { finished, leftoversIn, leftoversNamed, originalRuns, quietRecord, type Leftover } from "./leftovers.ts";

type Copy = Leftover & { kind: "copy" };

/** A move that had been ended by force after the original was deleted, and is finished now. */
export interface Finished {
  readonly copy: Copy;
  readonly image: string;
  /** Undefined where it was not seen to run from the checkpoint. */
  readonly restored: Restored | undefined;
}

/**
 * What an earlier move of that pod has left. Where the copy is the only one, it gets its labels: that move is finished. Where the original
 * runs, the copy is deleted and the original gets back its labels, which is asked about: the other move may still be running. `yes` is --yes.
 */
export async function resumeMove(context: FlowContext, name: string, copyName: string, yes: boolean): Promise<Finished | undefined> {
  const { connection, emit } = context;
  const { namespace } = connection;
  const { left, copies, running } = await untouched(context, name, async () => await lookForLeft(context, name, copyName));
  const second = copies.filter((_, index) => running[index]);
  const last = copies.find((_, index) => running[index] === false);
  if (last !== undefined) return await finish(context, last);
  const quiet = left.find((one) => one.kind === "original");
  if (second.length === 0 && quiet === undefined) return undefined;
  const what: Phrase[] = [
    ...second.map((copy) => say`pod/${copy.name} is a second copy of it`),
    ...(quiet === undefined ? [] : [say`it is out of its Services`]),
  ];
  const about = say`a move of pod/${name} is running, or was killed: ${joined(what, "; ")}`;
  if (!yes) await agreeTo(context, say`${about}. End that move and begin anew?`, { message: about });
  for (const copy of second) {
    await ensureGone(context, apiPath`/api/v1/namespaces/${namespace}/pods/${copy.name}`, uidOf(copy.pod), context.signal);
    emit({ kind: "warning", text: say`pod/${copy.name}, left by an earlier move of pod/${name}, was deleted` });
  }
  if (quiet !== undefined) {
    await patchLabels(context, quiet, quietRecord(quiet.pod)?.labels ?? {});
    emit({ kind: "warning", text: say`pod/${name} has its labels again, which an earlier move had taken off` });
  }
  return undefined;
}

async function lookForLeft(context: FlowContext, name: string, copyName: string) {
  const { namespace } = context.connection;
  const found = await leftoversIn(context, namespace).catch(async (error: unknown) => {
    if (!(error instanceof ApiFailure && error.status === 403)) throw error;
    // Who may not list pods may get them by their names.
    return await leftoversNamed(context, namespace, [name, copyName]);
  });
  const left = found.filter((one) => (one.kind === "copy" ? one.record.from.name : one.name) === name);
  const copies = left.filter((one) => one.kind === "copy");
  const running = await Promise.all(copies.map(async ({ record }) => await originalRuns(context, namespace, record)));
  return { left, copies, running };
}

async function finish(context: FlowContext, copy: Copy): Promise<Finished> {
  const { namespace, name, pod, record } = copy;
  await patchLabels(context, copy, record.labels);
  context.emit({
    kind: "warning",
    text: say`an earlier move of pod/${record.from.name} was killed at its end: pod/${name} has its labels now`,
  });
  const containers = list(object(pod["spec"])["containers"]).map(object);
  const image = string(containers.find((one) => one["name"] === record.container)?.["image"]);
  const watched = { namespace, pod: name, container: record.container, image, uid: uidOf(pod) };
  const restored = await watchRestore(context, watched).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    context.emit({ kind: "warning", text: say`pod/${name}: ${wordsOf(error)}` });
    return undefined;
  });
  return { copy, image, restored };
}

async function patchLabels(
  { connection }: FlowContext,
  { namespace, name, pod }: Leftover,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const path = apiPath`/api/v1/namespaces/${namespace}/pods/${name}`;
  const body = { metadata: { ...finished(labels).metadata, uid: uidOf(pod) } };
  await callJson(connection, { method: "PATCH", path, body, contentType: "application/merge-patch+json", repeatable: true });
}
