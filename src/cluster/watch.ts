import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../model/error.ts";
import { number, object, string, type Json } from "../model/json.ts";
import { ApiFailure, apiFailure, excerpt, type ApiRequest } from "./answer.ts";
import { callJson } from "./api.ts";
import { apiPath, type Connection } from "./connection.ts";
import { listAll, selectorQuery, type Listed } from "./lists.ts";
import { readPod, type Pod } from "./pods.ts";

export interface Selectors {
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface WatchOptions extends Selectors {
  /** Where what is known already is from; without it, what is there comes first. */
  readonly resourceVersion?: string | undefined;
  readonly signal: AbortSignal;
}

export type Change =
  | { readonly type: "added" | "modified" | "deleted"; readonly object: Json }
  /** All that was there has come. */
  | { readonly type: "synced" }
  /** Changes may have been missed: what is there now comes next, and "deleted" of what has gone. */
  | { readonly type: "gap" };

/** Five to ten minutes, so that the watches of many do not end at once. */
const LEAST_SECONDS = 300;
const MOST_SECONDS = 600;
/** A watch that its server does not end in time is on a dead connection. */
const LATE_MS = 30_000;
const EXPIRED = 410;
/** What is sent of one object. */
const MAX_LINE = 32 * 1024 * 1024;
/** Between two tries of a watch that ends at once. */
const PAUSE_MS = 200;

/**
 * What is in a collection and how it changes, until the signal is aborted: then it ends. A watch that ends, or whose connection is lost,
 * goes on from where it was; one that is too old (410 Gone) begins again with a list, after a "gap". Throws an ApiFailure where listing
 * or watching is refused, an Unanswered where the server stays away.
 */
export async function* watch(connection: Connection, path: string, options: WatchOptions): AsyncGenerator<Change> {
  const { signal, resourceVersion, labelSelector, fieldSelector } = options;
  const present = async (): Promise<Listed> => await listAll(connection, { path, labelSelector, fieldSelector, signal });
  yield* follow(connection, { path, labelSelector, fieldSelector, signal, from: resourceVersion, present });
}

interface Asking extends Pick<ApiRequest, "evenAfterAbort"> {
  readonly signal: AbortSignal;
}

interface Following extends Selectors, Asking {
  readonly path: string;
  readonly from: string | undefined;
  readonly present: () => Promise<Listed>;
}

async function* follow(connection: Connection, following: Following): AsyncGenerator<Change> {
  const { signal, from, present } = following;
  const known = new Map<string, Json>();
  let version = from;
  try {
    while (!signal.aborted) {
      if (version === undefined) {
        const { items, resourceVersion } = await present();
        yield* differences(known, items);
        version = resourceVersion;
        yield { type: "synced" };
      }
      const began = performance.now();
      const end = yield* watchOnce(connection, following, version, known);
      version = end.version;
      if (version === undefined) yield { type: "gap" };
      if (performance.now() - began < PAUSE_MS) await sleep(PAUSE_MS, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** From one version on, as long as the server keeps it up. The version to go on from; undefined where it is too old. */
async function* watchOnce(
  connection: Connection,
  { path, signal, evenAfterAbort = false, labelSelector, fieldSelector }: Following,
  from: string,
  known: Map<string, Json>,
): AsyncGenerator<Change, { version: string | undefined }> {
  let version = from;
  const seconds = Math.round(LEAST_SECONDS + Math.random() * (MOST_SECONDS - LEAST_SECONDS));
  const query = {
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion: version,
    timeoutSeconds: String(seconds),
    ...selectorQuery({ labelSelector, fieldSelector }),
  };
  // Whoever stops to read ends it.
  const stop = new AbortController();
  const late = AbortSignal.timeout(seconds * 1000 + LATE_MS);
  try {
    const answer = await connection.stream({ path, query, signal: AbortSignal.any([signal, stop.signal, late]), evenAfterAbort });
    if (answer.status === EXPIRED) return { version: undefined };
    if (answer.status >= 300) throw apiFailure(answer, { path });
    for await (const line of unlessLost(lines(answer.body), signal)) {
      const { type, object: about } = parsed(line);
      const changed = object(about);
      if (type === "ERROR") {
        if (number(changed["code"]) === EXPIRED || string(changed["reason"]) === "Expired") return { version: undefined };
        throw new UserError({
          reason: "WatchFailed",
          message: "the API server ended a watch",
          why: string(changed["message"]) || undefined,
        });
      }
      version = versionOf(changed) || version;
      if (type === "DELETED") {
        known.delete(keyOf(changed));
        yield { type: "deleted", object: changed };
      } else if (type === "ADDED" || type === "MODIFIED") {
        yield { type: known.has(keyOf(changed)) ? "modified" : "added", object: remember(known, changed) };
      }
    }
    return { version };
  } finally {
    stop.abort();
  }
}

/** A connection that is lost ends a watch like its server does: the next one says so if it is more than that. */
async function* unlessLost(from: AsyncIterable<string>, signal: AbortSignal): AsyncGenerator<string> {
  try {
    yield* from;
  } catch (error) {
    if (signal.aborted || error instanceof UserError) throw error;
  }
}

function parsed(line: string): Json {
  try {
    return object(JSON.parse(line));
  } catch (error) {
    throw new UserError({ reason: "AnswerInvalid", message: "an event of a watch is not JSON", why: excerpt(line), cause: error });
  }
}

/** A list against what was known before. */
function* differences(known: Map<string, Json>, items: readonly Json[]): Generator<Change> {
  const keys = new Set(items.map(keyOf));
  for (const [key, gone] of known) {
    if (keys.has(key)) continue;
    known.delete(key);
    yield { type: "deleted", object: gone };
  }
  for (const item of items) {
    const before = known.get(keyOf(item));
    const isSame = before !== undefined && versionOf(before) === versionOf(item);
    if (!isSame) yield { type: before === undefined ? "added" : "modified", object: remember(known, item) };
  }
}

function remember(known: Map<string, Json>, item: Json): Json {
  known.set(keyOf(item), item);
  return item;
}

/** Another object of the same name is another one. */
function keyOf(item: Json): string {
  const { namespace, name, uid } = object(item["metadata"]);
  return [namespace, name, uid].map(string).join("/");
}

function versionOf(item: Json): string {
  return string(object(item["metadata"])["resourceVersion"]);
}

async function* lines(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of body) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = rest.toString("utf8", 0, end);
      rest = rest.subarray(end + 1);
      if (line.trim() !== "") yield line;
    }
    if (rest.length > MAX_LINE) throw new UserError({ reason: "AnswerTooLong", message: "an event of a watch is longer than 32 MiB" });
  }
}

export type PodChange =
  | { readonly kind: "pod"; readonly pod: Pod }
  | { readonly kind: "deleted" }
  /** Changes may have been missed. */
  | { readonly kind: "gap" };

/**
 * One pod: as it is, then each change in order, until the signal is aborted. Another pod of that name is a "deleted" and then a pod.
 * Needs get and watch on pods; throws an ApiFailure of status 403 where watching is refused.
 */
export async function* watchPod(
  connection: Connection,
  namespace: string,
  name: string,
  { signal }: { readonly signal: AbortSignal },
): AsyncGenerator<PodChange> {
  const path = apiPath`/api/v1/namespaces/${namespace}/pods`;
  let there = false;
  const changes = follow(connection, {
    path,
    fieldSelector: `metadata.name=${name}`,
    signal,
    from: undefined,
    present: async () => await one(connection, path, name, { signal }),
  });
  for await (const change of changes) {
    if (change.type === "gap") yield { kind: "gap" };
    else if (change.type === "synced") {
      if (!there) yield { kind: "deleted" };
    } else {
      there = change.type !== "deleted";
      yield there ? { kind: "pod", pod: readPod(change.object) } : { kind: "deleted" };
    }
  }
}

/** As a list of it: who may get a pod need not be allowed to list all. */
async function one(connection: Connection, path: string, name: string, asking: Asking): Promise<Listed> {
  try {
    const item = object(await callJson(connection, { path: `${path}/${encodeURIComponent(name)}`, ...asking }));
    return { items: [item], resourceVersion: versionOf(item) };
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 404)) throw error;
    // "0": any state that the server has at hand, with what is there first.
    return { items: [], resourceVersion: "0" };
  }
}

export interface Waiting extends Selectors, Asking {
  /** Of a collection. */
  readonly path: string;
  /** Of one object in it. */
  readonly name?: string;
}

/** How often it is asked where it may not be watched. */
const POLL_MS = 250;

/**
 * Waits until `judge` answers with something, or throws: it is given what is there, at first and after each change. Where watching is
 * refused, it is asked for four times a second. Throws the signal's reason.
 */
export async function waitFor<T>(connection: Connection, waiting: Waiting, judge: (objects: readonly Json[]) => T | undefined): Promise<T> {
  const { path, name, signal, labelSelector, evenAfterAbort = false } = waiting;
  const asking = { signal, evenAfterAbort };
  const fieldSelector = name === undefined ? waiting.fieldSelector : `metadata.name=${name}`;
  const present = async (): Promise<Listed> =>
    name === undefined
      ? await listAll(connection, { path, labelSelector, fieldSelector, ...asking })
      : await one(connection, path, name, asking);
  try {
    const found = new Map<string, Json>();
    let synced = false;
    for await (const change of follow(connection, { path, labelSelector, fieldSelector, ...asking, from: undefined, present })) {
      if (change.type === "synced") synced = true;
      else if (change.type === "deleted") found.delete(keyOf(change.object));
      else if (change.type !== "gap") found.set(keyOf(change.object), change.object);
      const verdict = synced && change.type !== "gap" ? judge([...found.values()]) : undefined;
      if (verdict !== undefined) return verdict;
    }
  } catch (error) {
    if (!(error instanceof ApiFailure && error.status === 403)) throw error;
    for (; !signal.aborted; await sleep(POLL_MS, undefined, { signal }).catch(() => undefined)) {
      const verdict = judge((await present()).items);
      if (verdict !== undefined) return verdict;
    }
  }
  throw signal.reason as Error;
}
