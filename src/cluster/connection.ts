import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context, Exchange } from "../model/context.ts";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { MOST_TRIES, pauseBeforeNext } from "./again.ts";
import { type ApiAnswer, apiFailure, type ApiRequest } from "./answer.ts";
import { Authentication, type Credential } from "./auth/authentication.ts";
import { Dispatchers } from "./dispatcher.ts";
import { exchange, type Exchanged, type Hooks, type Outgoing } from "./exchange.ts";
import type { ConnectionOptions, Selection } from "./kubeconfig/options.ts";
import { selectFromKubeconfig } from "./kubeconfig/select.ts";
import { networkError, Unanswered } from "./network-error.ts";
import { Slots } from "./slots.ts";
import { timeoutSignal } from "./timeout.ts";

const USER_AGENT = "kubectl-checkpoint";
/** More at once are no faster, and a laptop may have 256 open files. */
const CALLS_AT_ONCE = 32;
/** Connections that stay: checkpoints under way, watches. */
const LONG_CALLS_AT_ONCE = 128;
/** The server's refusal of a tunnel or of a command may be what it says to every one. */
const UPGRADE_TRIES = 4;
/** A wait that is worth a word. */
const LONG_WAIT_MS = 1000;

type Path = Pick<ApiRequest, "path" | "query">;

/** An answer whose body comes piece by piece; an error answer is there whole. */
export interface ApiStream extends ApiAnswer {
  readonly body: AsyncIterable<Buffer>;
}

interface Circumstances {
  readonly signal: AbortSignal;
  /** For this try, from when it has its slot. */
  readonly eachMs?: number;
  /** What an error names. */
  readonly timeoutMs?: number;
  readonly slots?: Slots;
  readonly body?: Hooks["body"];
}

/** One API server as one user: every request of a call goes through here. */
export class Connection {
  readonly selection: Selection;
  readonly clock = new ClockOffset();
  readonly #authentication: Authentication;
  readonly #dispatchers: Dispatchers;
  readonly #context: Context;
  readonly #requestTimeoutMs: number;
  readonly #base: URL;
  readonly #calls = new Slots(CALLS_AT_ONCE);
  readonly #longCalls = new Slots(LONG_CALLS_AT_ONCE);
  /** Whether the server has ever answered. */
  #known = false;

  private constructor(selection: Selection, options: ConnectionOptions, context: Context) {
    this.selection = selection;
    this.#context = context;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#base = serverUrl(selection.cluster.server);
    this.#authentication = new Authentication(selection, this.#base, context);
    this.#dispatchers = new Dispatchers(this.#base, selection, context.env);
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
   * Sends one request and reads its whole answer, whatever its status. A GET, and what is said to be repeatable, is sent again where
   * the failure may pass (again.ts). Throws an Unanswered (a UserError) where no answer came, or the signal's reason.
   */
  async call(request: ApiRequest): Promise<ApiAnswer> {
    const { method = "GET", body, timeoutMs } = request;
    const json = request.contentType ?? "application/json";
    const outgoing = {
      method,
      headers: { accept: request.accept ?? "application/json", ...(body === undefined ? {} : { "content-type": json }) },
      body: body === undefined ? null : JSON.stringify(body),
    };
    const signal = AbortSignal.any([
      ...(request.evenAfterAbort === true ? [] : [this.#context.signal]),
      ...(request.signal ? [request.signal] : []),
      ...timeoutSignal(timeoutMs ?? 0),
    ]);
    const slots = request.longRunning === true ? this.#longCalls : this.#calls;
    const eachMs = timeoutMs === undefined ? this.#requestTimeoutMs : 0;
    return await this.#persistently(request, signal, async (credential) => {
      return await this.#exchange(request, outgoing, credential, { signal, eachMs, slots, timeoutMs: timeoutMs ?? eachMs });
    });
  }

  /** As `call`, for an answer that goes on: the body is handed on as it comes, and is ended by the signal. */
  async stream(request: Path & Pick<ApiRequest, "accept" | "evenAfterAbort"> & { readonly signal: AbortSignal }): Promise<ApiStream> {
    const signal = AbortSignal.any([...(request.evenAfterAbort === true ? [] : [this.#context.signal]), request.signal]);
    const outgoing = { method: "GET", headers: { accept: request.accept ?? "application/json" }, body: null };
    const pieces = new Pieces();
    const answer = await this.#persistently(request, signal, async (credential) => {
      const answered = await this.#exchange(request, outgoing, credential, { signal, body: (...piece) => pieces.add(...piece) });
      pieces.resume = answered.resume;
      return answered;
    });
    return { ...answer, body: pieces };
  }

  /**
   * Turns one connection to the API server into a WebSocket of the given subprotocol: the socket, frames not yet read.
   * Throws an ApiFailure where the server answers anything but 101, an Unanswered where no answer came.
   */
  async upgrade(request: Path, protocol: string): Promise<Duplex> {
    const { signal } = this.#context;
    const outgoing = { method: "GET", headers: {}, body: null, protocol };
    const attempt = async (credential: Credential): Promise<Exchanged> => await this.#exchange(request, outgoing, credential, { signal });
    const answer = await this.#persistently(request, signal, attempt, UPGRADE_TRIES);
    if (answer.socket === undefined) throw apiFailure(answer, request);
    return answer.socket;
  }

  /** With credentials that are renewed once where they are refused, as often as the policy of again.ts has it. */
  async #persistently(
    request: ApiRequest,
    signal: AbortSignal,
    attempt: (credential: Credential) => Promise<Exchanged>,
    most = MOST_TRIES,
  ): Promise<Exchanged> {
    let renewed = false;
    let told = false;
    try {
      for (let made = 1; ; made += 1) {
        const credential = await this.#authentication.credential();
        const outcome = await attempt(credential).catch((error: unknown) => {
          if (error instanceof Unanswered) return error;
          throw error;
        });
        if (!(outcome instanceof Unanswered)) {
          this.#known = true;
          if (outcome.status === 401 && !renewed && (await this.#authentication.renew(credential.generation))) {
            renewed = true;
            continue;
          }
        }
        const pause = made >= most ? undefined : pauseBeforeNext({ made, request, outcome, known: this.#known });
        if (pause !== undefined && pause >= LONG_WAIT_MS) {
          told = true;
          const what = outcome instanceof Unanswered ? say`does not answer` : say`answered ${outcome.status}`;
          this.#context.emit({ kind: "activity", lane: "API server", text: say`the API server ${what}: trying again` });
        }
        if (pause !== undefined && (await rested(pause, signal))) continue;
        // Where the call's time is up meanwhile, what came last is its answer.
        if (pause !== undefined && (signal.reason as Error).name !== "TimeoutError") throw signal.reason;
        if (outcome instanceof Unanswered) throw outcome;
        return { ...outcome, credential: credential.kind };
      }
    } finally {
      if (told) this.#context.emit({ kind: "idle", lane: "API server" });
    }
  }

  /** Once: logs it, learns the clock's offset from it, and explains why no answer came. */
  async #exchange(
    { path, query }: Path,
    outgoing: Omit<Outgoing, "path" | "origin">,
    credential: Credential,
    { signal, eachMs = 0, timeoutMs = 0, slots, body }: Circumstances,
  ): Promise<Exchanged> {
    const { method } = outgoing;
    const fullPath = `${this.#base.pathname.replace(/\/$/, "")}${path}${queryText(query)}`;
    const url = `${this.#base.origin}${fullPath}`;
    const headers = { "user-agent": USER_AGENT, ...credential.headers, ...outgoing.headers };
    let sent = false;
    let sentAt = this.#context.now();
    const began = performance.now();
    const log = (answer: Partial<Exchange>): void => {
      const exchanged = { method, url, requestHeaders: headers, milliseconds: this.#context.now() - sentAt, ...answer };
      this.#context.emit({ kind: "request", exchange: exchanged });
    };
    try {
      const dispatcher = await this.#dispatchers.of(credential);
      const once = async (): Promise<Exchanged> => {
        sentAt = this.#context.now();
        const wire = { ...outgoing, origin: this.#base.origin, path: fullPath, headers };
        const either = AbortSignal.any([signal, ...timeoutSignal(eachMs)]);
        return await exchange(dispatcher, wire, {
          signal: either,
          sending: () => void (sent = true),
          ...(body === undefined ? {} : { body }),
        });
      };
      const answer = await (slots === undefined ? once() : slots.use(signal, once));
      this.clock.observe(one(answer.headers["date"]), sentAt, this.#context.now());
      log({ status: answer.status, responseHeaders: answer.headers });
      return answer;
    } catch (error) {
      log({});
      const clientCertificate = credential.tls.cert !== undefined;
      throw networkError(this.#dispatchers.alertSince(began) ?? error, {
        method,
        url,
        server: this.server,
        timeoutMs,
        sent,
        clientCertificate,
      });
    }
  }

  async close(): Promise<void> {
    await this.#dispatchers.destroy();
  }
}

async function rested(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return await sleep(milliseconds, undefined, { signal }).then(
    () => true,
    () => false,
  );
}

/** Pieces of a body between who brings and who takes them. */
class Pieces implements AsyncIterable<Buffer> {
  #pieces: Buffer[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;
  resume: () => void = () => undefined;

  add(piece: Buffer | undefined, error?: Error): boolean {
    if (piece === undefined) {
      this.#ended = true;
      this.#error = error;
    } else this.#pieces.push(piece);
    this.#wake();
    return this.#pieces.length < 16;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      yield* this.#pieces.splice(0);
      if (this.#pieces.length > 0) continue;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return;
      this.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** `/api/v1/nodes/${node}`: every value is one escaped segment. */
export function apiPath(literals: TemplateStringsArray, ...values: readonly string[]): string {
  return String.raw({ raw: literals }, ...values.map(encodeURIComponent));
}

/** As kubectl: an address without a scheme is plain HTTP. */
function serverUrl(server: string): URL {
  const url = URL.parse(server.includes("://") ? server : `http://${server}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UserError({
      reason: "KubeconfigInvalid",
      message: say`invalid server "${server}"`,
      fix: "use https://HOST:PORT",
    });
  }
  return url;
}

function queryText(query: ApiRequest["query"] = {}): string {
  const text = new URLSearchParams(Array.isArray(query) ? query : Object.entries(query)).toString();
  return text === "" ? "" : `?${text}`;
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/**
 * How far the API server's clock is ahead of ours, from the Date headers of its answers. Each header is exact to a second
 * and was written between request and answer: every answer narrows the interval that the offset lies in.
 */
export class ClockOffset {
  #least = -Infinity;
  #most = Infinity;

  /** `sentAt` and `answeredAt` are milliseconds since the epoch, by our clock. */
  observe(date: string | undefined, sentAt: number, answeredAt: number): void {
    const second = Date.parse(date ?? "");
    if (Number.isNaN(second)) return;
    this.#least = Math.max(this.#least, second - answeredAt);
    this.#most = Math.min(this.#most, second + 1000 - sentAt);
  }

  /** 0 as long as the clocks may agree; otherwise the middle of what is possible, to 0.1 s. */
  get seconds(): number {
    if (this.#least > this.#most || !Number.isFinite(this.#least) || (this.#least <= 0 && this.#most >= 0)) return 0;
    return Math.round((this.#least + this.#most) / 200) / 10;
  }
}
