import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { object, string, type Json } from "../../model/json.ts";
import { say, type Text } from "../../model/phrase.ts";
import { makeDispatcher } from "../dispatcher.ts";
import type { Entry, UserPlace } from "../kubeconfig/options.ts";
import { networkError } from "../network-error.ts";
import { timeoutSignal } from "../timeout.ts";
import { readTokens, writeTokens, type Tokens } from "./kubeconfig-tokens.ts";
import type { Part, Source } from "./source.ts";
import { serverTls, unusable } from "./tls.ts";

/** As client-go: clocks differ, and a request takes its time. */
const EARLY_MS = 10_000;
const ISSUER_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

interface Answered {
  readonly status: number;
  readonly text: string;
}

/**
 * The auth provider "oidc": an id token, and how to get the next one. New tokens go to the kubeconfig that the old ones are from,
 * since many issuers take a refresh token only once.
 */
export class OidcProvider implements Source {
  readonly #config: Entry;
  readonly #place: UserPlace | undefined;
  readonly #context: Context;
  readonly #issuer: URL;
  #tokens: Tokens;

  constructor(config: Entry, place: UserPlace | undefined, context: Context) {
    this.#config = config;
    this.#place = place;
    this.#context = context;
    for (const name of ["idp-issuer-url", "client-id"]) {
      if (string(config[name]) === "") throw unusable(say`the auth provider "oidc" has no ${name}`);
    }
    const issuer = URL.parse(string(config["idp-issuer-url"]));
    if (issuer === null || !/^https?:$/.test(issuer.protocol)) {
      throw unusable(say`invalid idp-issuer-url "${string(config["idp-issuer-url"])}"`);
    }
    this.#issuer = issuer;
    this.#tokens = { idToken: string(config["id-token"]), refreshToken: string(config["refresh-token"]) };
  }

  async part(refused: boolean): Promise<Part> {
    if (refused || !this.#isGood(this.#tokens.idToken)) await this.#renew(refused ? this.#tokens.idToken : undefined);
    return { authorization: `Bearer ${this.#tokens.idToken}`, kind: "token" };
  }

  #isGood(token: string): boolean {
    return token !== "" && this.#context.now() + EARLY_MS < expiry(token);
  }

  async #renew(refused: string | undefined): Promise<void> {
    // Another process may have renewed them already, and ours may be used up.
    if (await this.#adopt(refused)) return;
    if (this.#tokens.refreshToken === "") {
      // The server's 401 says more than that nothing can be done about it.
      if (refused !== undefined) return;
      throw notRenewed(this.#issuer, "the id token has expired, and the kubeconfig has no refresh-token", LOG_IN);
    }
    const old = this.#tokens;
    try {
      this.#tokens = await this.#refresh(old.refreshToken);
    } catch (error) {
      if (await this.#adopt(refused)) return;
      if (refused !== undefined) return;
      throw error;
    }
    await this.#keep(old);
  }

  /** Takes what the kubeconfig has by now, where that is another token, and good. */
  async #adopt(refused: string | undefined): Promise<boolean> {
    const there = this.#place === undefined ? undefined : await readTokens(this.#place).catch(() => undefined);
    if (there === undefined) return false;
    const isNew = there.idToken !== refused && there.idToken !== this.#tokens.idToken;
    if (isNew || there.refreshToken !== this.#tokens.refreshToken) this.#tokens = there;
    return isNew && this.#isGood(there.idToken);
  }

  async #keep(old: Tokens): Promise<void> {
    if (this.#place === undefined) return;
    try {
      await writeTokens(this.#place, old, this.#tokens);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const lost = this.#tokens.refreshToken === old.refreshToken ? say`` : say`; the old refresh token may be used up: log in again`;
      this.#context.emit({ kind: "warning", text: say`cannot write the new tokens to ${this.#place.file}: ${why}${lost}` });
    }
  }

  async #refresh(refreshToken: string): Promise<Tokens> {
    const endpoint = await this.#tokenEndpoint();
    const [id, secret] = [string(this.#config["client-id"]), string(this.#config["client-secret"])];
    const grant = { grant_type: "refresh_token", refresh_token: refreshToken };
    // Issuers want the client in a header or in the body, and do not say which: as Go's oauth2, the header first.
    const basic = Buffer.from(`${formWord(id)}:${formWord(secret)}`).toString("base64");
    let answer = await this.#ask(endpoint, grant, { authorization: `Basic ${basic}` });
    if (answer.status !== 200) {
      answer = await this.#ask(endpoint, { ...grant, client_id: id, ...(secret === "" ? {} : { client_secret: secret }) }, {});
    }
    const body = parsed(answer.text);
    if (answer.status !== 200) {
      const said = [string(body["error"]), string(body["error_description"])].filter((part) => part !== "").join(": ");
      throw notRenewed(this.#issuer, say`it answered ${answer.status} ${said}`, LOG_IN);
    }
    const idToken = string(body["id_token"]);
    if (idToken === "")
      throw notRenewed(this.#issuer, "its answer has no id_token: the scope openid was not asked for, or it renews none", LOG_IN);
    return { idToken, refreshToken: string(body["refresh_token"]) || refreshToken };
  }

  async #tokenEndpoint(): Promise<URL> {
    let url = new URL(`${this.#issuer.href.replace(/\/$/, "")}/.well-known/openid-configuration`);
    let answer = await this.#ask(url);
    for (let hop = 0; hop < 5 && answer.status >= 300 && answer.status < 400 && answer.location !== undefined; hop += 1) {
      url = new URL(answer.location, url);
      answer = await this.#ask(url);
    }
    if (answer.status !== 200) throw notRenewed(this.#issuer, say`it answered ${answer.status} to ${url.href}`);
    const endpoint = URL.parse(string(parsed(answer.text)["token_endpoint"]));
    if (endpoint === null) throw notRenewed(this.#issuer, say`${url.href} has no token_endpoint`);
    return endpoint;
  }

  /** A form is posted. */
  async #ask(url: URL, form?: Record<string, string>, headers: Record<string, string> = {}): Promise<Answered & { location?: string }> {
    const { signal, env } = this.#context;
    const tls = await serverTls({
      "certificate-authority": this.#config["idp-certificate-authority"],
      "certificate-authority-data": this.#config["idp-certificate-authority-data"],
    });
    const dispatcher = await makeDispatcher(url, tls, undefined, env);
    try {
      const answer = await dispatcher.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: form === undefined ? "GET" : "POST",
        headers: {
          accept: "application/json",
          ...(form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" }),
          ...headers,
        },
        body: form === undefined ? null : new URLSearchParams(form).toString(),
        signal: AbortSignal.any([signal, ...timeoutSignal(ISSUER_TIMEOUT_MS)]),
      });
      let text = "";
      for await (const piece of answer.body) if (text.length < MAX_ANSWER_BYTES) text += String(piece);
      const { location } = answer.headers;
      return { status: answer.statusCode, text, ...(typeof location === "string" ? { location } : {}) };
    } catch (error) {
      signal.throwIfAborted();
      const request = {
        method: "GET",
        url: url.href,
        server: url.origin,
        timeoutMs: ISSUER_TIMEOUT_MS,
        sent: false,
        clientCertificate: false,
      };
      const explained = networkError(error, request);
      throw notRenewed(this.#issuer, explained instanceof UserError ? explained.whole : explained.message);
    } finally {
      await dispatcher.destroy();
    }
  }
}

const LOG_IN = "log in again";

function notRenewed({ href }: URL, why: Text, fix?: Text): UserError {
  return new UserError({ reason: "TokenNotRenewed", message: say`the issuer ${href} did not renew the id token`, why, fix });
}

/** Milliseconds since the epoch. Throws CredentialsUnusable where it is no JWT. */
function expiry(token: string): number {
  const [, payload, signature, more] = token.split(".");
  if (payload === undefined || signature === undefined || more !== undefined)
    throw unusable(say`the id-token in the kubeconfig is not a JWT`);
  const { exp } = parsed(Buffer.from(payload, "base64url").toString("utf8"));
  return typeof exp === "number" ? exp * 1000 : 0;
}

function parsed(text: string): Json {
  try {
    return object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** As forms encode it: RFC 6749, section 2.3.1. */
function formWord(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}
