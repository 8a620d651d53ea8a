import { UserError } from "../model/error.ts";

export interface ApiRequest {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below the server's address, escaped; use apiPath. */
  readonly path: string;
  /** Pairs where a key comes more than once. */
  readonly query?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  readonly body?: object;
  readonly contentType?: string;
  /** The form of the answer, where it is not the API's own JSON. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Overrides --request-timeout; 0 is no limit. */
  readonly timeoutMs?: number;
  /** For cleaning up: sent although the command was interrupted. */
  readonly evenAfterAbort?: boolean;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** The API server answered with an error. */
export class ApiFailure extends UserError {
  readonly status: number;

  constructor(what: ConstructorParameters<typeof UserError>[0] & { readonly status: number }) {
    super(what);
    this.status = what.status;
  }
}

/** The `message` of a Status, or undefined where the body is none. */
export function statusMessage({ headers, text }: ApiAnswer): string | undefined {
  if (!String(headers["content-type"] ?? "").includes("json")) return undefined;
  try {
    const status = JSON.parse(text) as { kind?: unknown; message?: unknown };
    return status.kind === "Status" && typeof status.message === "string" ? status.message : undefined;
  } catch {
    return undefined;
  }
}

/** An error of the API server itself in the user's terms. */
export function apiFailure(answer: ApiAnswer, request: Pick<ApiRequest, "method" | "path">): ApiFailure {
  const { status } = answer;
  const said = statusMessage(answer) ?? excerpt(answer.text);
  if (status === 401) {
    return new ApiFailure({
      status,
      reason: "Unauthorized",
      message: "the API server does not accept these credentials",
      why: "they are wrong, or they have expired",
      fix: "log in again; kubectl auth whoami tells who you are to the cluster",
    });
  }
  if (status === 403) return new ApiFailure({ status, reason: "Forbidden", message: said || "the API server forbids it" });
  if (status === 404) return new ApiFailure({ status, reason: "NotFound", message: said || `${request.path} is not there` });
  return new ApiFailure({
    status,
    reason: "ApiserverError",
    message: `the API server answered ${status} to ${request.method ?? "GET"} ${request.path}`,
    why: said || undefined,
  });
}

/** The beginning of a text that was meant for somebody else. */
export function excerpt(text: string): string {
  const trimmed = text.trim();
  return trimmed.length <= 500 ? trimmed : `${trimmed.slice(0, 500)}…`;
}
