import type { Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import { PORT } from "./script.ts";
import { cut, gathered, type Range, type Sink, type Transport } from "./transport.ts";
import { openTunnel, type PodName, type Tunnel, type TunnelEvents } from "./tunnel.ts";

/** No byte for this long: the connection is dead, whatever TCP believes. Not counted while the sink is busy. */
const IDLE_MS = 30_000;
/** Of an answer's head; busybox's has some 300 bytes. */
const MAX_HEAD = 16 * 1024;

/** HTTP through tunnels to the pod's httpd: each request has a tunnel of its own, since httpd closes its connection after the answer. */
export function httpTransport(connection: Connection, pod: PodName): Transport {
  const open = new Set<() => void>();
  const run = async (request: Get): Promise<void> => await get(connection, pod, request, open);
  const operationPath = (operation: readonly string[]): string => `/cgi-bin/op?${operation.join("&")}`;
  return {
    kind: "http",
    ask: async (operation, signal, idleMs = IDLE_MS) =>
      await gathered(async (sink, enough) => await run({ path: operationPath(operation), sink, signal, enough, idleMs })),
    pour: async (operation, sink, signal, enough) => await run({ path: operationPath(operation), sink, signal, enough, idleMs: IDLE_MS }),
    range: async (range, sink, signal) => await run({ path: `/files/${range.path}`, range, sink, signal, idleMs: IDLE_MS }),
    close: async () => {
      for (const end of open) end();
    },
  };
}

interface Get {
  /** Escaped. */
  readonly path: string;
  readonly range?: Range;
  readonly sink: Sink;
  readonly signal: AbortSignal;
  readonly enough?: AbortSignal;
  /** How long nothing may arrive. */
  readonly idleMs: number;
}

async function get(connection: Connection, pod: PodName, request: Get, open: Set<() => void>): Promise<void> {
  const { path, range, signal, enough } = request;
  signal.throwIfAborted();
  const exchange = new Exchange(request);
  const aborted = (): void => exchange.settle(signal.reason as Error);
  const isEnough = (): void => exchange.settle();
  const closed = (): void => exchange.settle(cut("the helper pod is let go"));
  signal.addEventListener("abort", aborted, { once: true });
  enough?.addEventListener("abort", isEnough, { once: true });
  open.add(closed);
  try {
    openTunnel(connection, pod, PORT, exchange).then(
      (tunnel) => exchange.begin(tunnel, Buffer.from(requestText(path, range))),
      (error: Error) => exchange.settle(error),
    );
    await exchange.settled;
  } finally {
    open.delete(closed);
    signal.removeEventListener("abort", aborted);
    enough?.removeEventListener("abort", isEnough);
  }
}

/**
 * One GET, its body straight from the tunnel's frames into the sink: a client of HTTP for all servers would copy every byte once or twice
 * more. What httpd answers is simple: a head, then bytes, their number by Content-Length or by the connection's end.
 */
class Exchange implements TunnelEvents {
  /** When all of the answer is in the sink. Rejects with TransferCut, ArchiveNotFound, ArchiveChanged, or what the sink rejects with. */
  readonly settled: Promise<void>;
  readonly #settle: PromiseWithResolvers<void>;
  readonly #sink: Sink;
  readonly #contentRange: string | undefined;
  readonly #idle: NodeJS.Timeout;
  #tunnel: Tunnel | undefined;
  /** Undefined once it is read. */
  #head: string | undefined = "";
  #expected: number | undefined;
  #received = 0;
  #isSettled = false;
  /** The sink is, with a piece. */
  #busy = false;
  /** What came while the sink was busy. */
  #waiting: Buffer[] = [];
  #ended = false;

  constructor({ range, sink, idleMs }: Pick<Get, "range" | "sink" | "idleMs">) {
    this.#settle = Promise.withResolvers();
    this.settled = this.#settle.promise;
    this.#sink = sink;
    this.#expected = range === undefined ? undefined : range.last - range.first + 1;
    this.#contentRange = range === undefined ? undefined : `bytes ${range.first}-${range.last}/${range.size}`;
    this.#idle = setTimeout(() => {
      if (this.#busy) this.#idle.refresh();
      else this.settle(cut(`nothing arrived for ${idleMs / 1000} s`));
    }, idleMs);
  }

  begin(tunnel: Tunnel, request: Buffer): void {
    this.#tunnel = tunnel;
    if (this.#isSettled) tunnel.destroy();
    else tunnel.send(request);
  }

  /** The first time counts. */
  settle(error?: Error): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#waiting = [];
    clearTimeout(this.#idle);
    this.#tunnel?.destroy();
    if (error === undefined) this.#settle.resolve();
    else this.#settle.reject(error);
  }

  data(piece: Buffer): boolean {
    if (this.#isSettled) return true;
    this.#idle.refresh();
    const body = this.#head === undefined ? piece : this.#takeHead(piece);
    if (body.length === 0 || this.#isSettled) return true;
    if (this.#busy) this.#waiting.push(Buffer.from(body));
    else this.#pass(body);
    return !this.#busy;
  }

  ended(error: UserError | undefined): void {
    if (error !== undefined) this.settle(error);
    else if (this.#busy) this.#ended = true;
    else this.#finish();
  }

  /** The end of the connection comes a second after the last byte: it is not waited for. */
  get #isWhole(): boolean {
    return this.#received === this.#expected;
  }

  #pass(piece: Buffer): void {
    this.#received += piece.length;
    if (this.#expected !== undefined && this.#received > this.#expected) {
      this.settle(cut("more bytes came than were asked for"));
      return;
    }
    let working: Promise<void> | undefined;
    try {
      working = this.#sink(piece);
    } catch (error) {
      this.settle(error as Error);
      return;
    }
    if (working === undefined) {
      if (this.#isWhole) this.settle();
      return;
    }
    this.#busy = true;
    working.then(
      () => this.#next(),
      (error: Error) => this.settle(error),
    );
  }

  /** The sink is through with its piece. */
  #next(): void {
    this.#busy = false;
    this.#idle.refresh();
    for (let piece = this.#waiting.shift(); piece !== undefined; piece = this.#busy ? undefined : this.#waiting.shift()) this.#pass(piece);
    if (this.#busy || this.#isSettled) return;
    if (this.#ended || this.#isWhole) this.#finish();
    else this.#tunnel?.resume();
  }

  #finish(): void {
    if (this.#head !== undefined) this.settle(cut(this.#head === "" ? "no answer came" : "the answer has no head"));
    else if (this.#expected !== undefined && this.#received < this.#expected)
      this.settle(cut(`${this.#received} of ${this.#expected} bytes arrived`));
    else this.settle();
  }

  /** What of the piece belongs to the body. */
  #takeHead(piece: Buffer): Buffer {
    const text = (this.#head ?? "") + piece.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) {
      this.#head = text;
      if (text.length > MAX_HEAD) this.settle(cut("the answer is not HTTP"));
      return Buffer.alloc(0);
    }
    this.#head = undefined;
    const answer = parseHead(text.slice(0, end));
    const refusal = answer === undefined ? cut("the answer is not HTTP") : unexpected(answer, this.#contentRange);
    if (refusal !== undefined) this.settle(refusal);
    this.#expected ??= answer?.length;
    return piece.subarray(piece.length - (text.length - end - 4));
  }
}

function requestText(path: string, range: Range | undefined): string {
  // Of 1.0, so that no server may encode its answer in chunks.
  const lines = [`GET ${path} HTTP/1.0`, "Host: helper"];
  if (range !== undefined) lines.push(`Range: bytes=${range.first}-${range.last}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

interface Head {
  readonly status: number;
  readonly length: number | undefined;
  readonly contentRange: string | undefined;
}

/** Undefined where it is not an answer that is read here: encoded transfers among them, which httpd does not send. */
export function parseHead(text: string): Head | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first) ?? [];
  const headers = new Map(
    lines.map((line) => /^([\w-]+):\s*(.*?)\s*$/.exec(line) ?? []).map(([, name = "", value = ""]) => [name.toLowerCase(), value]),
  );
  if (status === undefined || headers.has("") || headers.has("transfer-encoding")) return undefined;
  const length = headers.get("content-length");
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return undefined;
  return { status: Number(status), length: length === undefined ? undefined : Number(length), contentRange: headers.get("content-range") };
}

function unexpected({ status, contentRange }: Head, wanted: string | undefined): UserError | undefined {
  if (wanted === undefined ? status === 200 : status === 206 && contentRange === wanted) return undefined;
  if (status === 404) return new UserError({ reason: "ArchiveNotFound", message: "the archive is no longer on the node" });
  if (wanted !== undefined && (status === 200 || status === 206)) {
    return new UserError({
      reason: "ArchiveChanged",
      message: "the archive on the node has changed",
      why: `requested ${wanted}, received ${String(contentRange)}`,
    });
  }
  return cut(`the helper pod answered ${status}`);
}
