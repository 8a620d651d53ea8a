import { list, number, object, string } from "../../model/json.ts";
import type { Challenge } from "./challenge.ts";
import type { Credential } from "./credentials.ts";

/** A form or a query to get a token with: how Docker's token servers are asked. */
export interface TokenRequest {
  readonly url: URL;
  readonly headers: Record<string, string>;
  /** Sent as a POST where it is there. */
  readonly form?: URLSearchParams;
}

export interface Token {
  readonly header: string;
  /** By the monotonic clock, in milliseconds; a little before it really ends. */
  readonly until: number;
}

const CLIENT = "kubectl-checkpoint";
const DEFAULT_SECONDS = 60;

export function basicHeader({ username, password }: Credential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/**
 * How a token for the scopes is asked for (https://distribution.github.io/distribution/spec/auth/token/): with the password, or
 * with the identity token where there is one; anonymously without a credential. Undefined where the realm is no address, or would
 * take a password in the clear.
 */
export function tokenRequest(
  { parameters }: Challenge,
  scopes: readonly string[],
  credential: Credential | undefined,
  plainHttp: boolean,
): TokenRequest | undefined {
  const url = URL.parse(parameters["realm"] ?? "");
  if (url === null || (url.protocol !== "https:" && !(plainHttp && url.protocol === "http:"))) return undefined;
  const service = parameters["service"] ?? "";
  if (credential?.identityToken !== undefined) {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      service,
      scope: scopes.join(" "),
      client_id: CLIENT,
      refresh_token: credential.identityToken,
    });
    return { url, headers: {}, form };
  }
  if (service !== "") url.searchParams.append("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (credential !== undefined) url.searchParams.append("client_id", CLIENT);
  return { url, headers: credential === undefined ? {} : { authorization: basicHeader(credential) } };
}

/** Of the token server's answer; undefined where it holds none. */
export function tokenIn(text: string, now: number): Token | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { token, access_token: accessToken, expires_in: expiresIn } = object(answer);
  const value = string(token) || string(accessToken);
  if (value === "" || list(answer).length > 0) return undefined;
  const seconds = Math.max(DEFAULT_SECONDS, number(expiresIn) ?? DEFAULT_SECONDS);
  return { header: `Bearer ${value}`, until: now + seconds * 800 };
}
