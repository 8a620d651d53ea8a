import { list, object, string, type Json } from "../model/json.ts";
import { ApiFailure, type ApiRequest } from "./answer.ts";
import { callJson } from "./api.ts";
import type { Connection } from "./connection.ts";

export const PAGE = 500;
const GONE = 410;
/** Of a list that is outlived by its pages again and again. */
const MOST_BEGINNINGS = 5;

export interface ListRequest {
  readonly path: string;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Objects on the first page, where somebody waits for it; then PAGE. */
  readonly first?: number;
  readonly signal?: AbortSignal;
  readonly evenAfterAbort?: boolean;
}

/** Everything of a kind, and where a watch goes on from. */
export interface Listed {
  readonly items: readonly Json[];
  readonly resourceVersion: string;
}

/**
 * Objects page by page. Where the list is too old for its next page (410), it begins again, and what was there already is left out.
 * Throws an ApiFailure.
 */
export async function* pages(connection: Connection, request: ListRequest): AsyncGenerator<Json[], string> {
  const seen = new Set<string>();
  for (let beginning = 1; ; beginning += 1) {
    try {
      for (let next = "", limit = request.first ?? PAGE; ; limit = PAGE) {
        const { items, metadata } = object(await callJson(connection, pageRequest(request, limit, next)));
        // Copied on the way: who takes them may be slow.
        const page = list(items).map(object);
        next = string(object(metadata)["continue"]);
        yield page.filter((item) => isNew(item, seen));
        if (next === "") return string(object(metadata)["resourceVersion"]);
      }
    } catch (error) {
      if (!(error instanceof ApiFailure && error.status === GONE) || beginning === MOST_BEGINNINGS) throw error;
    }
  }
}

function isNew(item: Json, seen: Set<string>): boolean {
  const { uid, namespace, name } = object(item["metadata"]);
  const key = string(uid) || `${string(namespace)}/${string(name)}`;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

export async function listAll(connection: Connection, request: ListRequest): Promise<Listed> {
  const items: Json[] = [];
  const every = pages(connection, request);
  for (let page = await every.next(); ; page = await every.next()) {
    if (page.done === true) return { items, resourceVersion: page.value };
    items.push(...page.value);
  }
}

function pageRequest({ path, signal, evenAfterAbort = false, ...selectors }: ListRequest, limit: number, next: string): ApiRequest {
  const query = { limit: String(limit), ...(next === "" ? {} : { continue: next }), ...selectorQuery(selectors) };
  return { path, query, evenAfterAbort, ...(signal === undefined ? {} : { signal }) };
}

export function selectorQuery({
  labelSelector,
  fieldSelector,
}: Pick<ListRequest, "labelSelector" | "fieldSelector">): Record<string, string> {
  return { ...(labelSelector ? { labelSelector } : {}), ...(fieldSelector ? { fieldSelector } : {}) };
}
