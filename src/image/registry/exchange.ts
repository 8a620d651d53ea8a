import type { Dispatcher } from "undici";
import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import { RegistryCut, type Attempted, unanswered } from "./failure.ts";

/** One request, to one address. */
export interface Sent {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | AsyncIterable<Buffer> | undefined;
  readonly signal: AbortSignal;
  /** How long the answer may take once all is sent, in milliseconds. */
  readonly answerMs: number;
  readonly attempted: Attempted;
}

export interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** To be read to its end, or left. Iterating throws a UserError. */
  readonly body: AsyncIterable<Buffer>;
}

/** How slow a connection may be: fewer bytes in a period, either way, and it is given up. */
export interface Pace {
  readonly periodMs: number;
  readonly leastBytes: number;
}

export const PACE: Pace = { periodMs: 60_000, leastBytes: 16 << 10 };

/** One exchange, logged with secrets masked. Throws a UserError, a RegistryCut where no answer came. */
export async function exchange(
  dispatcher: Dispatcher,
  { method, url, headers, body, signal, answerMs, attempted }: Sent,
  { emit, now }: Pick<Context, "emit" | "now">,
  pace: Pace,
): Promise<Received> {
  const startedAt = now();
  const watch = new Watch(signal, pace, attempted);
  const log = (answer?: Pick<Received, "status" | "headers">): void => {
    const shown = answer === undefined ? {} : { status: answer.status, responseHeaders: maskedHeaders(answer.headers, url) };
    emit({ kind: "request", exchange: { method, url: masked(url), requestHeaders: headers, milliseconds: now() - startedAt, ...shown } });
  };
  try {
    watch.wait(answerMs);
    const answer = await dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { "user-agent": "kubectl-checkpoint", ...headers },
      body: body === undefined || Buffer.isBuffer(body) ? (body ?? null) : (watch.sending(body, answerMs) as never),
      signal: watch.signal,
    });
    const { statusCode: status, headers: responseHeaders } = answer;
    log({ status, headers: responseHeaders });
    return { status, headers: responseHeaders, body: received(answer.body, watch, signal, attempted) };
  } catch (error) {
    watch.end();
    log();
    signal.throwIfAborted();
    throw unanswered(watch.stalled ?? error, attempted);
  }
}

async function* received(
  body: AsyncIterable<Buffer> & { destroy(): unknown },
  watch: Watch,
  signal: AbortSignal,
  attempted: Attempted,
): AsyncGenerator<Buffer, void> {
  watch.move();
  try {
    for await (const piece of body) {
      watch.moved(piece.length);
      yield piece;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw unanswered(watch.stalled ?? error, attempted);
  } finally {
    watch.end();
    body.destroy();
  }
}

/** Ends an exchange that does not come on. */
class Watch {
  readonly #controller = new AbortController();
  readonly #pace: Pace;
  readonly #attempted: Attempted;
  readonly signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  stalled: RegistryCut | undefined;

  constructor(signal: AbortSignal, pace: Pace, attempted: Attempted) {
    this.signal = AbortSignal.any([signal, this.#controller.signal]);
    this.#pace = pace;
    this.#attempted = attempted;
  }

  /** The other side has so long to answer. */
  wait(milliseconds: number): void {
    this.end();
    this.#timer = setTimeout(() => this.#stall(say`it did not answer for ${Math.round(milliseconds / 1000)} s`), milliseconds);
  }

  /** From now on bytes have to move. */
  move(): void {
    this.end();
    this.#bytes = 0;
    const { periodMs, leastBytes } = this.#pace;
    this.#timer = setInterval(() => {
      if (this.#bytes < leastBytes) this.#stall(say`it moved only ${this.#bytes} bytes in ${Math.round(periodMs / 1000)} s`);
      this.#bytes = 0;
    }, periodMs);
  }

  moved(bytes: number): void {
    this.#bytes += bytes;
  }

  async *sending(body: AsyncIterable<Buffer>, answerMs: number): AsyncGenerator<Buffer, void> {
    this.move();
    for await (const piece of body) {
      yield piece;
      // Asked for the next piece, the socket has taken this one.
      this.moved(piece.length);
    }
    this.wait(answerMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #stall(why: ReturnType<typeof say>): void {
    this.end();
    const { registry } = this.#attempted;
    this.stalled = new RegistryCut({ reason: "RegistryStalled", message: say`the registry ${registry} does not respond`, why });
    this.#controller.abort(this.stalled);
  }
}

/** What of an address's query is no secret: an upload's state and a signature are. */
const HARMLESS = new Set(["digest", "mount", "from", "scope", "service", "client_id", "n", "last"]);

/** An address without the secrets in its query. */
function masked(url: URL): string {
  const parts = [...url.searchParams].map(([key, value]) =>
    HARMLESS.has(key) ? `${key}=${encodeURIComponent(value)}` : `${key}=<masked>`,
  );
  return `${url.origin}${url.pathname}${parts.length === 0 ? "" : `?${parts.join("&")}`}`;
}

function maskedHeaders(headers: Received["headers"], base: URL): Received["headers"] {
  const { location } = headers;
  if (location === undefined) return headers;
  return { ...headers, location: [location].flat().map((one) => (URL.canParse(one, base) ? masked(new URL(one, base)) : "<masked>")) };
}

/** All of a body. Throws AnswerTooLong. */
export async function wholeOf(body: AsyncIterable<Buffer>, most: number, registry: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > most)
      throw new UserError({ reason: "AnswerTooLong", message: say`the registry ${registry} answers with more than ${most} bytes` });
    parts.push(part);
  }
  return Buffer.concat(parts);
}
