import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../model/error.ts";
import { object, string, type Json } from "../model/json.ts";
import { say } from "../model/phrase.ts";
import { MOST_TRIES } from "./again.ts";
import { ApiFailure, apiFailure, excerpt, type ApiAnswer, type ApiRequest } from "./answer.ts";
import type { Connection } from "./connection.ts";
import { mayHaveHappened } from "./network-error.ts";

/** The JSON of a successful answer. Throws an ApiFailure otherwise. */
export async function callJson(connection: Connection, request: ApiRequest): Promise<unknown> {
  return parsed(await connection.call(request), request);
}

function parsed(answer: ApiAnswer, request: ApiRequest): unknown {
  if (answer.status >= 300) throw apiFailure(answer, request);
  try {
    return JSON.parse(answer.text);
  } catch (error) {
    throw new UserError({
      reason: "AnswerInvalid",
      message: say`the answer to ${request.method ?? "GET"} ${request.path} is not JSON`,
      why: excerpt(answer.text),
      cause: error,
    });
  }
}

/** On what createOnce makes: which of several tries it is from is the same for all of them. */
export const REQUEST_MARK = "kubectl-checkpoint/request";
const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
/** A webhook that fails has its own reasons. */
const NOT_PASSING = /failed calling webhook|admission/i;

export type Creation = Pick<ApiRequest, "path" | "signal" | "evenAfterAbort"> & {
  readonly body: Json;
  /** For who wants to know the object again. */
  readonly mark?: string;
};

/**
 * Creates a named object in a collection, once. A POST whose outcome is open is not simply repeated: it is looked whether the object is
 * there, and is this one, which carries a mark; only where none of that name is there, it is posted again. Answers with the object.
 * Throws an ApiFailure: of status 409 where somebody else's has the name; whatever it throws, mayHaveHappened says whether the object
 * may be there all the same.
 */
export async function createOnce(connection: Connection, { path, body, mark = randomUUID(), ...more }: Creation): Promise<Json> {
  const { metadata } = body;
  const name = string(object(metadata)["name"]);
  const annotations = { ...object(object(metadata)["annotations"]), [REQUEST_MARK]: mark };
  const request = { ...more, method: "POST", path, body: { ...body, metadata: { ...object(metadata), annotations } } } as const;
  let open = false;
  for (let made = 1; ; made += 1) {
    const outcome = await callJson(connection, request).catch((failure: unknown) => new Failed(failure));
    if (!(outcome instanceof Failed)) return object(outcome);
    const { failure } = outcome;
    const taken = failure instanceof ApiFailure && failure.status === 409;
    open ||= mayHaveHappened(failure);
    const passes = isPassing(failure) || (taken && open);
    if (!passes || made === MOST_TRIES) throw failure;
    await pause(made, more.signal);
    const there = await connection.call({ ...more, path: `${path}/${encodeURIComponent(name)}` });
    if (there.status === 404) continue;
    // Who may not look does not know: the failure says that it may be there.
    if (there.status !== 200) throw failure;
    const found = object(parsed(there, { path }));
    if (string(object(object(found["metadata"])["annotations"])[REQUEST_MARK]) === mark) return found;
    throw taken ? failure : new ApiFailure({ status: 409, reason: "AlreadyExists", message: say`${name} already exists`, cause: failure });
  }
}

/** What a call has thrown, as a value. */
class Failed {
  readonly failure: unknown;

  constructor(failure: unknown) {
    this.failure = failure;
  }
}

function isPassing(failure: unknown): boolean {
  if (!(failure instanceof ApiFailure)) return mayHaveHappened(failure);
  return failure.status === 429 || (failure.status >= 500 && !NOT_PASSING.test(failure.why ?? failure.message));
}

async function pause(made: number, signal: AbortSignal | undefined): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  await sleep(Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** (made - 1)), undefined, options).catch(() => signal?.throwIfAborted());
}
