import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher } from "undici";
import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { serverOf, type Reference } from "../reference.ts";
import { basicHeader, tokenIn, tokenRequest, type Token } from "./authorization.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type { Credential } from "./credentials.ts";
import { registryDispatcher, type Route } from "./dispatcher.ts";
import { RegistryCut, refused, unanswered, unauthorized, saidIn, type Attempted, type RegistryAnswer } from "./failure.ts";

export interface RegistryOptions extends Route {
  readonly reference: Reference;
  readonly plainHttp: boolean;
  /** Looked for when the registry first asks; undefined is anonymous. */
  readonly credential: () => Promise<Credential | undefined>;
  /** "pull" alone, or "pull,push". */
  readonly actions: "pull" | "pull,push";
}

export interface RegistryRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** Below the registry's address, or a whole one that it gave. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for every try. */
  readonly body?: () => Buffer | AsyncIterable<Buffer>;
  /** For the error: "push the layer". */
  readonly doing: string;
  /** Statuses that are answers, all below 300 included. */
  readonly expected?: readonly number[];
  /** Sent again after cuts and while the registry is not well: only what may be done twice. */
  readonly persistent?: boolean;
  /** For cleaning up: sent although the command was interrupted, and not for long. */
  readonly evenAfterAbort?: boolean;
}

/** One repository of a registry, as one user. */
export interface Registry extends AsyncDisposable {
  readonly reference: Reference;
  /** Throws a UserError: a RegistryCut where no answer came. */
  request(request: RegistryRequest): Promise<RegistryAnswer>;
  /** Whether a token may pull from another repository too, as for a mount: from the next request on. */
  alsoPull(repository: string): void;
}

/** An answer that is read whole: a manifest, an error, a piece of a blob. In bytes. */
const LONGEST_ANSWER = 8 << 20;
const ATTEMPTS = 5;
const CLEANUP_MS = 2000;
const REDIRECTS = 5;

/** Nothing is sent before the first request. */
export function openRegistry(options: RegistryOptions, context: Pick<Context, "signal" | "emit" | "now">): Registry {
  const { reference, plainHttp, actions } = options;
  const base = new URL(`${plainHttp ? "http" : "https"}://${serverOf(reference)}`);
  const scopes = new Set([`repository:${reference.repository}:${actions}`]);
  let dispatcher: Promise<Dispatcher> | undefined;
  let credential: Credential | undefined;
  let challenge: Challenge | undefined;
  let token: Token | undefined;

  const attempted = (doing: string): Attempted => ({
    registry: reference.registry,
    repository: reference.repository,
    doing,
    plainHttp,
    credential,
  });

  /** One exchange, logged; redirects are followed, without the login where they lead elsewhere. */
  const exchange = async (request: RegistryRequest, authorization: string | undefined): Promise<RegistryAnswer> => {
    let url = new URL(request.url, base);
    for (let hop = 0; ; hop += 1) {
      // Behind a proxy that ends TLS, some registries think that they speak without.
      if (url.host === base.host) url.protocol = base.protocol;
      if (url.protocol !== base.protocol && url.protocol !== "https:")
        throw new UserError({
          reason: "RegistryRedirect",
          message: `the registry ${reference.registry} sends to ${url.origin}, in the clear`,
        });
      const login = authorization !== undefined && url.origin === base.origin ? { authorization } : {};
      const answer = await send(request, url, { ...request.headers, ...login });
      const location = one(answer.headers["location"]);
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer;
      if (hop === REDIRECTS)
        throw new UserError({ reason: "RegistryRedirect", message: `the registry ${reference.registry} redirects for ever` });
      url = new URL(location, url);
    }
  };

  const send = async (request: RegistryRequest, url: URL, headers: Record<string, string>): Promise<RegistryAnswer> => {
    const { method, body } = request;
    const sentAt = context.now();
    const log = (answer: Partial<RegistryAnswer>): void => {
      const { status, headers: responseHeaders } = answer;
      const exchanged = { method, url: url.href, requestHeaders: headers, milliseconds: context.now() - sentAt };
      context.emit({
        kind: "request",
        exchange: {
          ...exchanged,
          ...(status === undefined ? {} : { status }),
          ...(responseHeaders === undefined ? {} : { responseHeaders }),
        },
      });
    };
    const signal = request.evenAfterAbort === true ? AbortSignal.timeout(CLEANUP_MS) : context.signal;
    try {
      const {
        statusCode,
        headers: responseHeaders,
        body: response,
      } = await (
        await (dispatcher ??= registryDispatcher(options))
      ).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { "user-agent": "kubectl-checkpoint", ...headers },
        body: body === undefined ? null : (body() as Buffer),
        signal,
      });
      const answer = { status: statusCode, headers: responseHeaders, bytes: await limited(response, reference.registry) };
      log(answer);
      return answer;
    } catch (error) {
      log({});
      context.signal.throwIfAborted();
      throw unanswered(error, attempted(request.doing));
    }
  };

  const logIn = async (doing: string, answer?: RegistryAnswer): Promise<string | undefined> => {
    if (challenge === undefined) return undefined;
    if (challenge.scheme === "basic") {
      if (credential === undefined) throw unauthorized(attempted(doing), answer === undefined ? "" : `it answered 401: ${saidIn(answer)}`);
      return basicHeader(credential);
    }
    if (token !== undefined && performance.now() < token.until) return token.header;
    const asked = tokenRequest(challenge, [...scopes], credential, plainHttp);
    if (asked === undefined) {
      throw new UserError({
        reason: "RegistryLoginUnsafe",
        message: `the registry ${reference.registry} names no safe place to log in`,
        why: `its realm is "${challenge.parameters["realm"] ?? ""}"`,
      });
    }
    const { url, headers, form } = asked;
    const contentType = form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
    const tokenAnswer = await send(
      {
        method: form === undefined ? "GET" : "POST",
        url: url.href,
        doing: "log in",
        ...(form === undefined ? {} : { body: () => Buffer.from(form.toString()) }),
      },
      url,
      { ...headers, ...contentType },
    );
    if (tokenAnswer.status === 401 || tokenAnswer.status === 403)
      throw unauthorized(attempted("log in"), `its token server answered ${tokenAnswer.status}: ${saidIn(tokenAnswer)}`);
    if (tokenAnswer.status >= 300) throw refused(tokenAnswer, attempted("log in"));
    token = tokenIn(tokenAnswer.bytes.toString("utf8"), performance.now());
    if (token === undefined)
      throw new UserError({ reason: "RegistryLoginFailed", message: `the token server of ${reference.registry} answers without a token` });
    return token.header;
  };

  const once = async (request: RegistryRequest): Promise<RegistryAnswer> => {
    const answer = await exchange(request, await logIn(request.doing));
    if (answer.status !== 401) return answer;
    const offered = parseChallenges(answer.headers["www-authenticate"]);
    const next = offered.find(({ scheme }) => scheme === "bearer") ?? offered.find(({ scheme }) => scheme === "basic");
    if (next === undefined) return answer;
    credential ??= await options.credential();
    challenge = next;
    token = undefined;
    return await exchange(request, await logIn(request.doing, answer));
  };

  return {
    reference,
    alsoPull(repository) {
      scopes.add(`repository:${repository}:pull`);
      token = undefined;
    },
    async request(request) {
      const { expected = [], persistent = false, doing } = request;
      for (let attempt = 1; ; attempt += 1) {
        const last = !persistent || attempt === ATTEMPTS;
        try {
          const answer = await once(request);
          if (answer.status < 300 || expected.includes(answer.status)) return answer;
          if (last || ![429, 502, 503, 504].includes(answer.status)) throw refused(answer, attempted(doing));
        } catch (error) {
          if (last || !(error instanceof RegistryCut)) throw error;
        }
        await pause(attempt, context.signal);
      }
    },
    async [Symbol.asyncDispose]() {
      await (await dispatcher)?.destroy();
    },
  };
}

/** Longer every time: 0.2 s, 0.4 s, 0.8 s … */
export async function pause(attempt: number, signal: AbortSignal): Promise<void> {
  await sleep(100 * 2 ** attempt, undefined, { signal }).catch(() => signal.throwIfAborted());
}

export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

async function limited(body: AsyncIterable<Buffer>, registry: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > LONGEST_ANSWER)
      throw new UserError({ reason: "AnswerTooLong", message: `the registry ${registry} answers with more than ${LONGEST_ANSWER} bytes` });
    parts.push(part);
  }
  return Buffer.concat(parts);
}
