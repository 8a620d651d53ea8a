import type { Dispatcher } from "undici";
import type { Context, Exchange } from "../model/context.ts";
import { UserError } from "../model/error.ts";
import { ClockOffset } from "./clock.ts";
import { Credentials } from "./credentials.ts";
import { makeDispatcher } from "./dispatcher.ts";
import type { ConnectionOptions, Selection } from "./kubeconfig/options.ts";
import { selectFromKubeconfig } from "./kubeconfig/select.ts";
import { networkError } from "./network-error.ts";

export interface ApiRequest {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below the server's address, escaped; use apiPath. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** Overrides --request-timeout; 0 is no limit. */
  readonly timeoutMs?: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** An answer is a page of a list at most; anything longer is not held in memory. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;
const USER_AGENT = "kubectl-checkpoint";

/** One API server as one user: every request of a call goes through here. */
export class Connection {
  readonly selection: Selection;
  readonly clock = new ClockOffset();
  readonly #credentials: Credentials;
  readonly #context: Context;
  readonly #requestTimeoutMs: number;
  readonly #base: URL;
  #dispatcher: Dispatcher | undefined;

  private constructor(selection: Selection, options: ConnectionOptions, context: Context) {
    this.selection = selection;
    this.#context = context;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#credentials = new Credentials(selection, context.env);
    this.#base = serverUrl(selection.cluster.server);
  }

  /** Reads the kubeconfig; nothing is sent yet. Throws a UserError. */
  static async open(options: ConnectionOptions, context: Context): Promise<Connection> {
    return new Connection(await selectFromKubeconfig(options, context.env), options, context);
  }

  get namespace(): string {
    return this.selection.namespace;
  }

  get server(): string {
    return this.selection.cluster.server;
  }

  /**
   * Sends one request and reads its whole answer, whatever its status. Nothing is ever sent twice.
   * Throws an Unanswered (a UserError) where no answer came, or the signal's reason.
   */
  async call(request: ApiRequest): Promise<ApiAnswer> {
    const { method = "GET", body } = request;
    const { headers: credentials, tls } = await this.#credentials.next();
    const dispatcher = (this.#dispatcher ??= await makeDispatcher(this.#base, tls, this.selection, this.#context.env));
    const path = `${this.#base.pathname.replace(/\/$/, "")}${request.path}${queryText(request.query)}`;
    const headers = {
      accept: "application/json",
      "user-agent": USER_AGENT,
      ...(body === undefined ? {} : { "content-type": request.contentType ?? "application/json" }),
      ...credentials,
    };
    const timeout = request.timeoutMs ?? this.#requestTimeoutMs;
    const signals = [
      this.#context.signal,
      ...(request.signal ? [request.signal] : []),
      ...(timeout > 0 ? [AbortSignal.timeout(timeout)] : []),
    ];
    const sentAt = this.#context.now();
    const url = `${this.#base.origin}${path}`;
    const exchange = { method, url, requestHeaders: headers };
    try {
      const answer = await dispatcher.request({
        origin: this.#base.origin,
        path,
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.any(signals),
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const text = await limitedText(answer.body);
      this.clock.observe(one(answer.headers["date"]), sentAt, this.#context.now());
      this.#log({ ...exchange, status: answer.statusCode, responseHeaders: answer.headers, milliseconds: this.#context.now() - sentAt });
      return { status: answer.statusCode, headers: answer.headers, text };
    } catch (error) {
      this.#log({ ...exchange, milliseconds: this.#context.now() - sentAt });
      throw networkError(error, { method, url, server: this.server, timeoutMs: timeout });
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }

  #log(exchange: Exchange): void {
    this.#context.emit({ kind: "request", exchange });
  }
}

/** `/api/v1/nodes/${node}`: every value is one escaped segment. */
export function apiPath(literals: TemplateStringsArray, ...values: readonly string[]): string {
  return String.raw({ raw: literals }, ...values.map(encodeURIComponent));
}

function serverUrl(server: string): URL {
  const url = URL.parse(server.includes("://") ? server : `https://${server}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UserError({
      reason: "KubeconfigInvalid",
      message: `"${server}" is not the address of an API server`,
      fix: "it looks like https://HOST:6443",
    });
  }
  return url;
}

function queryText(query: Readonly<Record<string, string>> | undefined): string {
  const text = new URLSearchParams(query).toString();
  return text === "" ? "" : `?${text}`;
}

async function limitedText(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > MAX_ANSWER_BYTES)
      throw new UserError({ reason: "AnswerTooLong", message: `the API server's answer is longer than ${MAX_ANSWER_BYTES} bytes` });
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
