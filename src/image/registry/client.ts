import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";
import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import { type Reference, serverOf } from "../reference.ts";
import type { Credential } from "./credentials.ts";
import { exchange, type Pace, PACE, type Received, wholeOf } from "./exchange.ts";
import { type Attempted, refused, type RegistryAnswer, RegistryCut } from "./failure.ts";
import { Login } from "./login.ts";

export interface RegistryOptions extends Route {
  readonly reference: Reference;
  readonly plainHttp: boolean;
  /** Looked for when the registry first asks; undefined is anonymous. */
  readonly credential: () => Promise<Credential | undefined>;
  /** "pull" alone, "pull,push", or that and "delete". */
  readonly actions: "pull" | "pull,push" | "pull,push,delete";
  readonly pace?: Pace;
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
  /** Throws a UserError: a RegistryCut where no answer came, or one that says that the registry is not well. */
  request(request: RegistryRequest): Promise<RegistryAnswer>;
  /** The same where the answer is long: its body is to be read to the end, or left. It is not sent again. */
  stream(request: RegistryRequest): Promise<Received>;
  /** Whether a token may pull from another repository too, as for a mount: from the next request on. */
  alsoPull(repository: string): void;
}

/** An answer that is read whole: a manifest, an error, a piece of a blob. In bytes. */
const LONGEST_ANSWER = 8 << 20;
const ATTEMPTS = 5;
const CLEANUP_MS = 2000;
const REDIRECTS = 5;
const REDIRECTED = new Set([301, 302, 303, 307, 308]);
/** How long an answer may take: that to a large blob, which the registry stores first, longer. */
const ANSWER_MS = 60_000;
const STORING_MS = 10 * 60_000;
const LONGEST_PAUSE_MS = 30_000;

/** Nothing is sent before the first request. */
export function openRegistry(options: RegistryOptions, context: Pick<Context, "signal" | "emit" | "now">): Registry {
  return new Repository(options, context);
}

class Repository implements Registry {
  readonly reference: Reference;
  readonly #options: RegistryOptions;
  readonly #context: Pick<Context, "signal" | "emit" | "now">;
  /** The one origin that credentials are for. */
  readonly #base: URL;
  readonly #login: Login;
  #dispatcher: Promise<Dispatcher> | undefined;

  constructor(options: RegistryOptions, context: Pick<Context, "signal" | "emit" | "now">) {
    const { reference, plainHttp, credential, actions } = options;
    this.reference = reference;
    this.#options = options;
    this.#context = context;
    this.#base = new URL(`${plainHttp ? "http" : "https"}://${serverOf(reference)}`);
    this.#login = new Login(`repository:${reference.repository}:${actions}`, {
      credential,
      plainHttp,
      attempted: (doing) => this.#attempted(doing),
      ask: async ({ url, headers, form }) => {
        const body = form === undefined ? undefined : Buffer.from(form.toString());
        const type = form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
        const method = form === undefined ? ("GET" as const) : ("POST" as const);
        const request = { method, url: url.href, doing: "log in", ...(body === undefined ? {} : { body: () => body }) };
        return await this.#whole(await this.#send(request, url, { ...headers, ...type }));
      },
    });
  }

  alsoPull(repository: string): void {
    this.#login.add(`repository:${repository}:pull`);
  }

  async request(request: RegistryRequest): Promise<RegistryAnswer> {
    const { expected = [], persistent = false, doing } = request;
    for (let attempt = 1; ; attempt += 1) {
      const last = !persistent || attempt === ATTEMPTS;
      let retryAfter: string | undefined;
      try {
        const answer = await this.#whole(await this.#authorized(request));
        if (answer.status < 300 || expected.includes(answer.status)) return answer;
        const failure = refused(answer, this.#attempted(doing));
        if (last || !(failure instanceof RegistryCut)) throw failure;
        retryAfter = one(answer.headers["retry-after"]);
      } catch (error) {
        if (last || !(error instanceof RegistryCut)) throw error;
      }
      await pause(attempt, this.#context.signal, retryAfter);
    }
  }

  async stream(request: RegistryRequest): Promise<Received> {
    const { expected = [], doing } = request;
    const answer = await this.#authorized(request);
    if (answer.status < 300 || expected.includes(answer.status)) return answer;
    throw refused(await this.#whole(answer), this.#attempted(doing));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#dispatcher)?.destroy();
  }

  /** Logs in where the registry asks for it. What is asked for elsewhere, where it redirects to, is not answered. */
  async #authorized(request: RegistryRequest): Promise<Received> {
    const { doing } = request;
    const first = await this.#followed(request, await this.#login.header(doing));
    if (first.received.status !== 401) return first.received;
    const answer = await this.#whole(first.received);
    if (first.origin !== this.#base.origin) throw this.#refusedElsewhere(first.origin, answer);
    if (!(await this.#login.challenged(answer))) return { ...answer, body: bytesOnce(answer.bytes) };
    const second = await this.#followed(request, await this.#login.header(doing, answer));
    if (second.received.status === 401 && second.origin !== this.#base.origin)
      throw this.#refusedElsewhere(second.origin, await this.#whole(second.received));
    return second.received;
  }

  /** Redirects are followed; the authorization is sent to the registry's own origin alone. */
  async #followed(request: RegistryRequest, authorization: string | undefined): Promise<{ received: Received; origin: string }> {
    const { registry } = this.reference;
    let url = new URL(request.url, this.#base);
    for (let hop = 0; ; hop += 1) {
      // Behind a proxy that ends TLS, some registries think that they speak without.
      if (url.host === this.#base.host) url.protocol = this.#base.protocol;
      if (url.protocol !== this.#base.protocol && url.protocol !== "https:")
        throw new UserError({ reason: "RegistryRedirect", message: say`the registry ${registry} redirects to ${url.origin}, without TLS` });
      const login = authorization !== undefined && url.origin === this.#base.origin ? { authorization } : {};
      const received = await this.#send(request, url, { ...request.headers, ...login });
      const location = one(received.headers["location"]);
      if (!REDIRECTED.has(received.status) || location === undefined) return { received, origin: url.origin };
      await this.#whole(received);
      if (hop === REDIRECTS)
        throw new UserError({ reason: "RegistryRedirect", message: say`the registry ${registry} redirects too often` });
      if (!URL.canParse(location, url))
        throw new UserError({
          reason: "RegistryRedirect",
          message: say`the registry ${registry} redirects to an invalid address`,
        });
      url = new URL(location, url);
    }
  }

  async #send({ method, body, doing, evenAfterAbort }: RegistryRequest, url: URL, headers: Record<string, string>): Promise<Received> {
    const signal = evenAfterAbort === true ? AbortSignal.timeout(CLEANUP_MS) : this.#context.signal;
    const answerMs = method === "PUT" || method === "PATCH" ? STORING_MS : ANSWER_MS;
    this.#dispatcher ??= registryDispatcher(this.#options);
    const sent = { method, url, headers, body: body?.(), signal, answerMs, attempted: this.#attempted(doing) };
    return await exchange(await this.#dispatcher, sent, this.#context, this.#options.pace ?? PACE);
  }

  async #whole({ status, headers, body }: Received): Promise<RegistryAnswer> {
    return { status, headers, bytes: await wholeOf(body, LONGEST_ANSWER, this.reference.registry) };
  }

  #attempted(doing: string): Attempted {
    const { registry, repository } = this.reference;
    return { registry, repository, doing, plainHttp: this.#options.plainHttp, credential: this.#login.credential };
  }

  #refusedElsewhere(origin: string, answer: RegistryAnswer): UserError {
    return new UserError({
      reason: "RegistryRedirectRefused",
      message: say`${origin}, which the registry ${this.reference.registry} redirects to, refuses the request`,
      why: say`it answered ${answer.status}; no password or token is sent to it`,
      fix: "rerun; if it fails again, ask whoever runs the registry",
    });
  }
}

async function* bytesOnce(bytes: Buffer): AsyncGenerator<Buffer, void> {
  yield bytes;
}

/** Longer every time: 0.2 s, 0.4 s, 0.8 s …, or what the registry asks for, in seconds. */
export async function pause(attempt: number, signal: AbortSignal, retryAfter?: string): Promise<void> {
  const asked = /^\d{1,5}$/.test(retryAfter ?? "") ? Number(retryAfter) * 1000 : 0;
  const milliseconds = Math.min(LONGEST_PAUSE_MS, Math.max(100 * 2 ** attempt, asked));
  await sleep(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
}

export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** How registries are reached. */
interface Route {
  /** PEM; undefined is what Node.js trusts by itself. */
  readonly authorities: readonly string[] | undefined;
  /** "http://…", "socks5://…"; undefined is directly. */
  readonly proxy: string | undefined;
}

const CONNECT_TIMEOUT_MS = 15_000;
/** A registry that stores a large blob answers late, but a silent one is not waited for for ever. */
const HEADERS_TIMEOUT_MS = 10 * 60_000;
const BODY_TIMEOUT_MS = 60_000;

/** Loads what a proxy needs only where there is one. */
async function registryDispatcher({ authorities, proxy }: Route): Promise<Dispatcher> {
  const tls = authorities === undefined ? {} : { ca: [...authorities] };
  const connect = { ...tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true };
  const common = { headersTimeout: HEADERS_TIMEOUT_MS, bodyTimeout: BODY_TIMEOUT_MS, allowH2: false };
  if (proxy === undefined) return new Agent({ ...common, connect });
  if (proxy.startsWith("socks")) {
    const { Socks5ProxyAgent } = await import("undici");
    return new Socks5ProxyAgent(proxy, { ...common, requestTls: connect });
  }
  const { ProxyAgent } = await import("undici");
  return new ProxyAgent({
    ...common,
    uri: proxy,
    requestTls: connect,
    proxyTls: { allowH2: false },
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
}
