import { statusMessage, type ApiAnswer, type ApiRequest } from "./answer.ts";
import { Unanswered } from "./network-error.ts";

/** As kubectl. */
export const MOST_TRIES = 10;
/** A server that wants to be left alone for longer is not waited for. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** Pauses of a server that answers: 0.1 s, 0.2 s, … */
const PASSING = { first: 100, factor: 2, most: 5000 };
/** Of one that has gone after it had answered: an API server that restarts is back within a minute. */
const RESTARTING = { first: 100, factor: 3, most: 15_000 };

export interface Try {
  /** 1: the first has just been made. */
  readonly made: number;
  readonly request: Pick<ApiRequest, "method" | "path" | "repeatable">;
  readonly outcome: ApiAnswer | Unanswered;
  /** Whether this server has answered anything before. */
  readonly known: boolean;
}

/**
 * How long to wait, in milliseconds, before a request is sent again; undefined where it is not. What cannot have been carried out may
 * be sent again where the server is known to be one, what may have been only where it is repeatable.
 */
export function pauseBeforeNext({ made, request, outcome, known }: Try): number | undefined {
  if (made >= MOST_TRIES) return undefined;
  if (outcome instanceof Unanswered) {
    if (!outcome.sent) return known && PASSING_REASONS.test(outcome.reason) ? pause(RESTARTING, made) : undefined;
    return isRepeatable(request) && outcome.reason === "ConnectionLost" ? pause(PASSING, made) : undefined;
  }
  if (!isRepeatable(request) || !PASSING_STATUS.has(outcome.status)) return undefined;
  const wanted = retryAfter(outcome);
  if (wanted !== undefined) return wanted <= LONGEST_RETRY_AFTER_MS ? jittered(Math.max(wanted, PASSING.first)) : undefined;
  return isOfNode(request, outcome) ? undefined : pause(PASSING, made);
}

/** What a kubelet answers stays so, as its errors are about its containers; so does what the API server says of a kubelet that it cannot reach. */
function isOfNode({ path }: Pick<ApiRequest, "path">, answer: ApiAnswer): boolean {
  if (!/\/nodes\/[^/]+\/proxy\//.test(path)) return false;
  const said = statusMessage(answer);
  return said === undefined ? answer.status === 500 : /error trying to reach service/.test(said);
}

const PASSING_REASONS = /^(ApiserverUnreachable|ProxyUnreachable)$/;
const PASSING_STATUS = new Set([429, 500, 502, 503, 504]);

export function isRepeatable({ method = "GET", repeatable = method === "GET" }: Pick<ApiRequest, "method" | "repeatable">): boolean {
  return repeatable;
}

function pause({ first, factor, most }: typeof PASSING, made: number): number {
  return jittered(Math.min(most, first * factor ** (made - 1)));
}

/** Up to a quarter more: those that failed at once do not come back at once. */
function jittered(milliseconds: number): number {
  return milliseconds * (1 + Math.random() / 4);
}

/** Seconds, or a date. */
function retryAfter({ headers }: ApiAnswer): number | undefined {
  const text = String(headers["retry-after"] ?? "");
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
