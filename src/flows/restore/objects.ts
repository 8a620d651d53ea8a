import { setTimeout as sleep } from "node:timers/promises";
import { ApiFailure, apiFailure } from "../../cluster/answer.ts";
import { callJson } from "../../cluster/api.ts";
import { waitFor } from "../../cluster/watch.ts";
import { UserError } from "../../model/error.ts";
import { object, string, type Json } from "../../model/json.ts";
import { say } from "../../model/phrase.ts";
import type { FlowContext } from "../context.ts";

/** The kubelet ends the processes first: when the object is gone, so are they. */
const GRACE_SECONDS = 1;
const GONE_MS = 30_000;
const POLL_MS = 200;

export function uidOf(item: Json): string {
  return string(object(item["metadata"])["uid"]);
}

export function isGoing(item: Json): boolean {
  return string(object(item["metadata"])["deletionTimestamp"]) !== "";
}

/** An object by its path, also after an interruption until `last`; undefined where it was seen not to be there. Throws where it cannot be seen. */
export async function lookFor({ connection }: FlowContext, path: string, last: AbortSignal): Promise<Json | undefined> {
  const answer = await connection.call({ path, evenAfterAbort: true, signal: last });
  if (answer.status === 404) return undefined;
  if (answer.status >= 300) throw apiFailure(answer, { path });
  return object(JSON.parse(answer.text));
}

/** Asks for the deletion of this very object, also after an interruption. Answers false where another one has its name, or none. */
export async function deleteObject({ connection }: FlowContext, path: string, uid: string, last: AbortSignal): Promise<boolean> {
  const body = { kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: GRACE_SECONDS, preconditions: { uid } };
  try {
    await callJson(connection, { method: "DELETE", path, body, evenAfterAbort: true, signal: last, repeatable: true });
    return true;
  } catch (error) {
    if (error instanceof ApiFailure && (error.status === 404 || error.status === 409)) return false;
    throw error;
  }
}

/** Deletes this very object, and waits until it is gone. Throws where it cannot be seen that it is. */
export async function ensureGone(context: FlowContext, path: string, uid: string, last: AbortSignal): Promise<void> {
  await deleteObject(context, path, uid, last);
  if (await isGone(context, path, uid, last, GONE_MS)) return;
  throw new UserError({ reason: "StillThere", message: "it is being deleted, but is not gone yet" });
}

/** Whether it is gone within that time; also after an interruption, until `last`. */
export async function isGone(context: FlowContext, path: string, uid: string, last: AbortSignal, withinMs: number): Promise<boolean> {
  const { connection, signal } = context;
  const deadline = AbortSignal.timeout(withinMs);
  const [, collection = "", name = ""] = /^(.*)\/([^/]+)$/.exec(path) ?? [];
  const gone = (item: Json | undefined): true | undefined => (item === undefined || uidOf(item) !== uid ? true : undefined);
  try {
    const either = AbortSignal.any([signal, deadline]);
    return await waitFor(connection, { path: collection, name: decodeURIComponent(name), signal: either }, ([item]) => gone(item));
  } catch (error) {
    if (deadline.aborted) return false;
    if (!signal.aborted) throw error;
  }
  // No watch lives longer than the command.
  while (!last.aborted && !deadline.aborted) {
    if (gone(await lookFor(context, path, last)) === true) return true;
    await sleep(POLL_MS);
  }
  return false;
}

/** Whether it can have been done or not: what the API server has refused, it has not done. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ApiFailure && error.status < 500 && error.status !== 429;
}

/** What could not be seen stays as it is: the command ends with exit status 3. */
export function unseen(reason: string, message: ReturnType<typeof say>, fix: ReturnType<typeof say>, cause: unknown): UserError {
  const why = cause instanceof UserError ? cause.whole : say`${cause instanceof Error ? cause.message : String(cause)}`;
  return new UserError({ reason, message, why, fix, exitCode: 3, cause });
}
