import { UserError } from "../model/error.ts";
import { say, type Phrase } from "../model/phrase.ts";
import { behindApiserver } from "./behind.ts";

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
  /** For the call with all its tries; --request-timeout is for each of them. 0 is no limit, --request-timeout neither. */
  readonly timeoutMs?: number;
  /** For cleaning up: sent although the command was interrupted. */
  readonly evenAfterAbort?: boolean;
  /** Done twice it is as if done once, as every GET is: it may be sent again where it is unknown whether it was done. */
  readonly repeatable?: boolean;
  /** It may take minutes: short calls do not wait for it. */
  readonly longRunning?: boolean;
}

/** How the sender of a request proved who it is. */
export type CredentialKind = "none" | "certificate" | "token" | "password";

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly credential?: CredentialKind;
}

/** The API server, or something before or behind it, answered with an error. */
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

/** An answer that is an error, in the user's terms. */
export function apiFailure(answer: ApiAnswer, request: Pick<ApiRequest, "method" | "path">): ApiFailure {
  const { status, credential } = answer;
  const message = statusMessage(answer);
  const said = message ?? excerpt(answer.text);
  const known = behindApiserver({ ...answer, said: message }, request.path);
  if (known !== undefined) return new ApiFailure({ status, ...known });
  if (status === 401) {
    return new ApiFailure({
      status,
      reason: "Unauthorized",
      message: "the API server does not accept these credentials",
      why: credential === "none" ? NO_CREDENTIALS : "they are wrong, or they have expired",
      fix: "log in again; kubectl auth whoami shows who you are to the cluster",
    });
  }
  if (status === 403) {
    const why = said.includes("system:anonymous") ? anonymous(credential) : undefined;
    return new ApiFailure({ status, reason: "Forbidden", message: said || "the API server forbids it", why });
  }
  if (status === 404) return new ApiFailure({ status, reason: "NotFound", message: said || say`the API server has no ${request.path}` });
  return new ApiFailure({
    status,
    reason: status === 429 ? "TooManyRequests" : "ApiserverError",
    message: say`the API server answered ${status} to ${request.method ?? "GET"} ${request.path}`,
    why: said || undefined,
  });
}

const NO_CREDENTIALS = "no credentials were sent: the kubeconfig has none for this user";

/** Why somebody with a kubeconfig is nobody to the cluster. */
function anonymous(credential: CredentialKind | undefined): string | Phrase | undefined {
  if (credential === "none") return NO_CREDENTIALS;
  if (credential === undefined) return undefined;
  return say`the API server did not see the ${credential === "certificate" ? "client certificate" : credential} that was sent: a proxy or load balancer before it may end TLS or remove headers`;
}

/** The beginning of a text that was meant for somebody else. */
export function excerpt(text: string): string {
  const trimmed = text.trim();
  return trimmed.length <= 500 ? trimmed : `${trimmed.slice(0, 500)}…`;
}
