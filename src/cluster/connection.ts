import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Dispatcher } from "undici";
import type { Context, Exchange } from "../model/context.ts";
import { UserError } from "../model/error.ts";
import { apiFailure, type ApiAnswer, type ApiRequest } from "./answer.ts";
import { ClockOffset } from "./clock.ts";
import { Credentials } from "./credentials.ts";
import { makeDispatcher } from "./dispatcher.ts";
import type { ConnectionOptions, Selection } from "./kubeconfig/options.ts";
import { selectFromKubeconfig } from "./kubeconfig/select.ts";
import { networkError } from "./network-error.ts";
import { upgradeConnection } from "./upgrade.ts";

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
    const { method = "GET", body, timeoutMs = this.#requestTimeoutMs } = request;
    const { dispatcher, path, headers } = await this.#prepare(request);
    headers["accept"] = request.accept ?? "application/json";
    if (body !== undefined) headers["content-type"] = request.contentType ?? "application/json";
    const signals = [
      ...(request.evenAfterAbort === true ? [] : [this.#context.signal]),
      ...(request.signal ? [request.signal] : []),
      ...(timeoutMs > 0 ? [AbortSignal.timeout(timeoutMs)] : []),
    ];
    return await this.#exchange(method, path, headers, timeoutMs, async () => {
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
      // undici frees the connection a moment after the last byte: without that moment the next request would open another one.
      await setImmediate();
      return { status: answer.statusCode, headers: answer.headers, text };
    });
  }

  /**
   * Turns one connection to the API server into a WebSocket of the given subprotocol: the socket, frames not yet read.
   * Throws an ApiFailure where the server answers anything but 101, an Unanswered where no answer came.
   */
  async upgrade(request: Pick<ApiRequest, "path" | "query">, protocol: string): Promise<Duplex> {
    const { dispatcher, path, headers } = await this.#prepare(request);
    let socket: Duplex | undefined;
    const answer = await this.#exchange("GET", path, headers, 0, async () => {
      const upgraded = await upgradeConnection(dispatcher, { origin: this.#base.origin, path, headers, protocol }, this.#context.signal);
      ({ socket } = upgraded);
      return upgraded;
    });
    if (socket === undefined) throw apiFailure(answer, request);
    return socket;
  }

  async #prepare({ path, query }: Pick<ApiRequest, "path" | "query">) {
    const { headers: credentials, tls } = await this.#credentials.next();
    const dispatcher = (this.#dispatcher ??= await makeDispatcher(this.#base, tls, this.selection, this.#context.env));
    const headers: Record<string, string | string[]> = { "user-agent": USER_AGENT, ...credentials };
    return { dispatcher, headers, path: `${this.#base.pathname.replace(/\/$/, "")}${path}${queryText(query)}` };
  }

  /** Logs the exchange, learns the clock's offset from it, and explains why no answer came. */
  async #exchange<T extends ApiAnswer>(
    method: string,
    path: string,
    requestHeaders: Exchange["requestHeaders"],
    timeoutMs: number,
    work: () => Promise<T>,
  ): Promise<T> {
    const sentAt = this.#context.now();
    const url = `${this.#base.origin}${path}`;
    const log = (answer: Partial<Exchange>): void => {
      const exchange = { method, url, requestHeaders, milliseconds: this.#context.now() - sentAt, ...answer };
      this.#context.emit({ kind: "request", exchange });
    };
    try {
      const answer = await work();
      this.clock.observe(one(answer.headers["date"]), sentAt, this.#context.now());
      log({ status: answer.status, responseHeaders: answer.headers });
      return answer;
    } catch (error) {
      log({});
      throw networkError(error, { method, url, server: this.server, timeoutMs });
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
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

function queryText(query: ApiRequest["query"] = {}): string {
  const text = new URLSearchParams(Array.isArray(query) ? query : Object.entries(query)).toString();
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
