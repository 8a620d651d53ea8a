import { setTimeout as sleep } from "node:timers/promises";
import { Pool, type Dispatcher } from "undici";
import { ApiFailure } from "../cluster/answer.ts";
import type { Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import { exec } from "./exec.ts";
import { CONTAINER } from "./manifest.ts";
import { WORK } from "./operations.ts";
import { PORT } from "./script.ts";
import { openTunnel, type PodName } from "./tunnel.ts";

/**
 * Takes bytes as they arrive, which are only there until it returns: what is needed longer it copies. Where it answers with a
 * promise, no more come until that has settled.
 */
export type Sink = (piece: Buffer) => Promise<void> | undefined;

/** A range of a file, its ends included, as HTTP counts. */
export interface Range {
  /** Below the served directory, escaped. */
  readonly path: string;
  readonly first: number;
  readonly last: number;
  /** Of the whole file: another size means that it has changed. */
  readonly size: number;
}

/** How operations and bytes travel: HTTP through a tunnel, or exec. Both throw TransferCut where an answer ends too early. */
export interface Transport {
  readonly kind: "http" | "exec";
  /** The whole output of an operation: small, and known to be complete. */
  ask(operation: readonly string[], signal: AbortSignal, idleMs?: number): Promise<string>;
  /**
   * The output of an operation as it comes; whether it is complete only the caller can tell. `enough` may do so before the
   * connection ends, which it does only a second after the last byte.
   */
  pour(operation: readonly string[], sink: Sink, signal: AbortSignal, enough: AbortSignal): Promise<void>;
  /** The bytes of a range, as they lie on the disk; undefined where only operations are to be had. */
  range?(range: Range, sink: Sink, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** No byte for this long: the connection is dead, whatever TCP believes. Not counted while the sink is busy. */
const IDLE_MS = 30_000;
/** httpd starts a moment after the container. */
const HTTPD_MS = 2000;
const ORIGIN = "http://helper";

/** HTTP where port-forward is allowed and the image has httpd, else exec. Throws an ApiFailure where neither is allowed. */
export async function openTransport(connection: Connection, pod: PodName, signal: AbortSignal): Promise<Transport> {
  const http = httpTransport(connection, pod);
  const deadline = performance.now() + HTTPD_MS;
  const answers = async (): Promise<boolean> => {
    try {
      await http.ask(["tools"], signal);
      return true;
    } catch (error) {
      if (error instanceof ApiFailure && error.status === 403) return false;
      const refused = error instanceof UserError && error.reason === "TunnelBroken" && /refused/.test(error.why ?? "");
      if (refused && performance.now() > deadline) return false;
      throw error;
    }
  };
  if (await persistently(answers, signal)) return http;
  await http.close();
  return execTransport(connection, pod);
}

function httpTransport(connection: Connection, pod: PodName): Transport {
  const pool = new Pool(ORIGIN, {
    // One request a connection: busybox's httpd closes it after each.
    connections: 16,
    pipelining: 1,
    connect: (_options, done) => {
      openTunnel(connection, pod, PORT).then(
        (tunnel) => done(null, tunnel as never),
        (error: Error) => done(error, null),
      );
    },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const operationPath = (operation: readonly string[]): string => `/cgi-bin/op?${operation.join("&")}`;
  return {
    kind: "http",
    ask: async (operation, signal, idleMs = IDLE_MS) =>
      await gathered(async (sink, enough) => await get(pool, { path: operationPath(operation), sink, signal, enough, idleMs })),
    pour: async (operation, sink, signal, enough) =>
      await get(pool, { path: operationPath(operation), sink, signal, enough, idleMs: IDLE_MS }),
    range: async (range, sink, signal) => await get(pool, { path: `/files/${range.path}`, range, sink, signal, idleMs: IDLE_MS }),
    close: async () => await pool.destroy(),
  };
}

interface Get {
  readonly path: string;
  readonly range?: Range;
  readonly sink: Sink;
  readonly signal: AbortSignal;
  readonly enough?: AbortSignal;
  /** How long nothing may arrive. */
  readonly idleMs: number;
}

/** One GET, its body straight into the sink: undici's body streams would cost as much again as all the rest. */
async function get(pool: Pool, { path, range, sink, signal, enough, idleMs }: Get): Promise<void> {
  const wanted =
    range === undefined ? undefined : { length: range.last - range.first + 1, range: `bytes ${range.first}-${range.last}/${range.size}` };
  const headers = range === undefined ? {} : { range: `bytes=${range.first}-${range.last}` };
  await new Promise<void>((resolve, reject) => {
    let abort: (reason: Error) => void = () => undefined;
    let received = 0;
    let sinkBusy = false;
    const idle: NodeJS.Timeout = setTimeout(() => {
      if (sinkBusy) idle.refresh();
      else fail(cut(`nothing arrived for ${idleMs / 1000} s`));
    }, idleMs);
    const aborted = (): void => fail(signal.reason as Error);
    const settle = (): void => {
      clearTimeout(idle);
      signal.removeEventListener("abort", aborted);
    };
    const fail = (error: Error): void => {
      settle();
      reject(error);
      abort(error);
    };
    signal.addEventListener("abort", aborted, { once: true });
    enough?.addEventListener("abort", () => {
      settle();
      resolve();
      abort(cut("the rest is not needed"));
    });
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        abort = (reason) => controller.abort(reason);
        if (signal.aborted) aborted();
      },
      onResponseStart(_controller, status, answer) {
        if (status !== (wanted === undefined ? 200 : 206) || (wanted !== undefined && answer["content-range"] !== wanted.range)) {
          fail(unexpected(status, wanted?.range, String(answer["content-range"])));
        }
      },
      onResponseData(controller, piece) {
        received += piece.length;
        idle.refresh();
        if (wanted !== undefined && received > wanted.length) {
          fail(cut("more bytes came than were asked for"));
          return;
        }
        const busy = sink(piece);
        if (busy === undefined) return;
        controller.pause();
        sinkBusy = true;
        busy.then(() => {
          sinkBusy = false;
          idle.refresh();
          controller.resume();
        }, fail);
      },
      onResponseEnd() {
        if (wanted !== undefined && received < wanted.length) fail(cut(`${received} of ${wanted.length} bytes arrived`));
        else {
          settle();
          resolve();
        }
      },
      onResponseError: (_controller, error) => fail(error instanceof UserError ? error : cut(error.message, error)),
    };
    pool.dispatch({ path, method: "GET", headers }, handler);
  });
}

function execTransport(connection: Connection, pod: PodName): Transport {
  const pourExec: Transport["pour"] = async (operation, sink, signal, enough) => {
    const { stdout, ended } = await exec(connection, pod, CONTAINER, ["sh", `${WORK}/op`, ...operation]);
    const aborted = (): void => void stdout.destroy(signal.reason as Error);
    signal.addEventListener("abort", aborted, { once: true });
    try {
      for await (const piece of stdout) {
        await sink(piece as Buffer);
        if (enough.aborted) return;
      }
      await ended;
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  };
  return {
    kind: "exec",
    ask: async (operation, signal) => await gathered(async (sink, enough) => await pourExec(operation, sink, signal, enough)),
    pour: pourExec,
    close: async () => undefined,
  };
}

/** An operation's text answer, without its last line, which proves that it is complete. Throws TransferCut, or what the pod refused. */
async function gathered(work: (sink: Sink, enough: AbortSignal) => Promise<void>): Promise<string> {
  let text = "";
  const enough = new AbortController();
  await work((piece) => {
    text += piece.toString("latin1");
    if (text === "end\n" || text.endsWith("\nend\n")) enough.abort();
    return text.length > MAX_TEXT ? Promise.reject(tooLong()) : undefined;
  }, enough.signal);
  if (!text.endsWith("end\n")) throw cut("the answer was cut off");
  const answer = text.slice(0, -"end\n".length);
  const refused = /(?:^|\n)no (\w+)\n$/.exec(answer)?.[1];
  if (refused !== undefined)
    throw new UserError({ reason: REFUSED[refused] ?? "HelperFailed", message: `the helper pod could not do it: no ${refused}` });
  return answer;
}

const MAX_TEXT = 16 * 1024 * 1024;

/** Asked again it would be as long. */
function tooLong(): UserError {
  return new UserError({ reason: "AnswerTooLong", message: `the helper pod's answer is longer than ${MAX_TEXT} bytes` });
}

/** The operations' refusals as reasons. */
const REFUSED: Readonly<Record<string, string>> = { file: "ArchiveNotFound", name: "ArchiveNameInvalid", directory: "HelperFailed" };

function unexpected(status: number, wanted: string | undefined, got: string): UserError {
  if (status === 404) return new UserError({ reason: "ArchiveNotFound", message: "the archive is not on the node any more" });
  if (wanted !== undefined && (status === 200 || status === 206)) {
    return new UserError({
      reason: "ArchiveChanged",
      message: "the archive on the node has changed",
      why: `asked for ${wanted}, got ${got}`,
    });
  }
  return cut(`the helper pod answered ${status}`);
}

export function cut(why: string, cause?: unknown): UserError {
  return new UserError({ reason: "TransferCut", message: "the transfer was cut", why, cause });
}

/** Without success for this long, a thing is given up: an API server or a kubelet that restarts is back by then. */
export const PATIENCE_MS = 90_000;

/** Does something again, with growing pauses, as long as only passing errors come. For what may be done twice. */
export async function persistently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let pause = 200; ; pause = Math.min(5000, pause * 2)) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error) || performance.now() > deadline) throw error;
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** Whether another try may not meet this error again. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ApiFailure) return error.status >= 500 || error.status === 429;
  return (
    error instanceof UserError &&
    /^(TransferCut|TunnelBroken|ExecBroken|ApiserverUnreachable|ConnectionLost|RequestTimedOut)$/.test(error.reason)
  );
}
