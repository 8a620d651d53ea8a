import { Pool } from "undici";
import { ApiFailure } from "../cluster/answer.ts";
import type { Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import { exec } from "./exec.ts";
import { CONTAINER } from "./manifest.ts";
import { PORT, WORK } from "./script.ts";
import { openTunnel, type PodName } from "./tunnel.ts";

/** Takes bytes as they arrive; where it answers with a promise, no more come until that has settled. */
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
  ask(operation: readonly string[], signal: AbortSignal): Promise<string>;
  /** The output of an operation as it comes; whether it is complete only the caller can tell. */
  pour(operation: readonly string[], sink: Sink, signal: AbortSignal): Promise<void>;
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
  for (;;) {
    try {
      await http.ask(["tools"], signal);
      return http;
    } catch (error) {
      signal.throwIfAborted();
      const refused = error instanceof UserError && error.reason === "TunnelBroken" && /refused/.test(error.why ?? "");
      if (refused && performance.now() < deadline) continue;
      if (!refused && !(error instanceof ApiFailure && error.status === 403)) throw error;
      await http.close();
      return execTransport(connection, pod);
    }
  }
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
  const get = async (path: string, headers: Record<string, string>, expected: Expected, sink: Sink, signal: AbortSignal): Promise<void> =>
    await pour(pool, path, headers, expected, sink, signal);
  const operationPath = (operation: readonly string[]): string => `/cgi-bin/op?${operation.join("&")}`;
  return {
    kind: "http",
    ask: async (operation, signal) =>
      await gathered(async (sink) => await get(operationPath(operation), {}, { status: 200 }, sink, signal)),
    pour: async (operation, sink, signal) => await get(operationPath(operation), {}, { status: 200 }, sink, signal),
    range: async ({ path, first, last, size }, sink, signal) => {
      const expected = { status: 206, contentRange: `bytes ${first}-${last}/${size}`, length: last - first + 1 };
      await get(`/files/${path}`, { range: `bytes=${first}-${last}` }, expected, sink, signal);
    },
    close: async () => await pool.destroy(),
  };
}

interface Expected {
  readonly status: number;
  readonly contentRange?: string;
  readonly length?: number;
}

/** One GET, its body straight into the sink: undici's body streams would cost as much again as all the rest. */
async function pour(
  pool: Pool,
  path: string,
  headers: Record<string, string>,
  expected: Expected,
  sink: Sink,
  signal: AbortSignal,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let abort: (reason: Error) => void = () => undefined;
    let received = 0;
    let sinkBusy = false;
    const idle: NodeJS.Timeout = setTimeout(() => {
      if (sinkBusy) idle.refresh();
      else fail(cut(`nothing arrived for ${IDLE_MS / 1000} s`));
    }, IDLE_MS);
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
    pool.dispatch(
      { path, method: "GET", headers },
      {
        onRequestStart(controller) {
          abort = (reason) => controller.abort(reason);
          if (signal.aborted) aborted();
        },
        onResponseStart(_controller, statusCode, answer) {
          const range = answer["content-range"];
          if (statusCode !== expected.status || (expected.contentRange !== undefined && range !== expected.contentRange)) {
            fail(unexpected(statusCode, typeof range === "string" ? range : undefined, expected));
          }
        },
        onResponseData(controller, piece) {
          received += piece.length;
          idle.refresh();
          if (expected.length !== undefined && received > expected.length) {
            fail(cut("more bytes came than were asked for"));
            return;
          }
          const busy = sink(piece);
          if (busy === undefined) return;
          controller.pause();
          sinkBusy = true;
          busy.then(() => {
            sinkBusy = false;
            controller.resume();
          }, fail);
        },
        onResponseEnd() {
          if (expected.length !== undefined && received < expected.length) fail(cut(`${received} of ${expected.length} bytes arrived`));
          else {
            settle();
            resolve();
          }
        },
        onResponseError: (_controller, error) => fail(error instanceof UserError ? error : cut(error.message, error)),
      },
    );
  });
}

function execTransport(connection: Connection, pod: PodName): Transport {
  const pourExec = async (operation: readonly string[], sink: Sink, signal: AbortSignal): Promise<void> => {
    const { stdout, ended } = await exec(connection, pod, CONTAINER, ["sh", `${WORK}/op`, ...operation]);
    const aborted = (): void => void stdout.destroy(signal.reason as Error);
    signal.addEventListener("abort", aborted, { once: true });
    try {
      for await (const piece of stdout) await sink(piece as Buffer);
      await ended;
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  };
  return {
    kind: "exec",
    ask: async (operation, signal) => await gathered(async (sink) => await pourExec(operation, sink, signal)),
    pour: pourExec,
    close: async () => undefined,
  };
}

/** An operation's text answer, without its last line, which proves that it is complete. Throws TransferCut, or what the pod refused. */
async function gathered(work: (sink: Sink) => Promise<void>): Promise<string> {
  let text = "";
  await work((piece) => {
    text += piece.toString("latin1");
    return text.length > MAX_TEXT ? Promise.reject(cut("the answer is too long")) : undefined;
  });
  if (!text.endsWith("end\n")) throw cut("the answer was cut off");
  const answer = text.slice(0, -"end\n".length);
  const refused = /^no (\w+)\n$/m.exec(answer)?.[1];
  if (refused !== undefined)
    throw new UserError({ reason: REFUSED[refused] ?? "HelperFailed", message: `the helper pod could not do it: no ${refused}` });
  return answer;
}

const MAX_TEXT = 16 * 1024 * 1024;
/** The operations' refusals as reasons. */
const REFUSED: Readonly<Record<string, string>> = { file: "ArchiveNotFound", name: "ArchiveNameInvalid", removal: "RemovalFailed" };

function unexpected(status: number, range: string | undefined, { contentRange }: Expected): UserError {
  if (status === 404) return new UserError({ reason: "ArchiveNotFound", message: "the archive is not on the node any more" });
  if (contentRange !== undefined && (status === 200 || status === 206)) {
    return new UserError({
      reason: "ArchiveChanged",
      message: "the archive on the node has changed",
      why: `asked for ${contentRange}, got ${range ?? "no range"}`,
    });
  }
  return cut(`the helper pod answered ${status}`);
}

export function cut(why: string, cause?: unknown): UserError {
  return new UserError({ reason: "TransferCut", message: "the transfer was cut", why, cause });
}
