import { Pool, type Dispatcher } from "undici";
import type { Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import { PORT } from "./script.ts";
import { cut, gathered, type Range, type Sink, type Transport } from "./transport.ts";
import { openTunnel, type PodName } from "./tunnel.ts";

/** No byte for this long: the connection is dead, whatever TCP believes. Not counted while the sink is busy. */
const IDLE_MS = 30_000;
const ORIGIN = "http://helper";

/** HTTP through tunnels to the pod's httpd. */
export function httpTransport(connection: Connection, pod: PodName): Transport {
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

function unexpected(status: number, wanted: string | undefined, got: string): UserError {
  if (status === 404) return new UserError({ reason: "ArchiveNotFound", message: "the archive is no longer on the node" });
  if (wanted !== undefined && (status === 200 || status === 206)) {
    return new UserError({
      reason: "ArchiveChanged",
      message: "the archive on the node has changed",
      why: `requested ${wanted}, received ${got}`,
    });
  }
  return cut(`the helper pod answered ${status}`);
}
