import { ApiFailure } from "../cluster/answer.ts";
import type { Connection } from "../cluster/connection.ts";
import { UserError } from "../model/error.ts";
import { execTransport } from "./exec.ts";
import { httpTransport } from "./http.ts";
import { isPassing, persistently, type Transport } from "./transport.ts";
import type { PodName } from "./tunnel.ts";

/** A way to the pod, and the programs that its image has. */
export interface Reached {
  readonly transport: Transport;
  readonly tools: readonly string[];
}

/** httpd starts a moment after the container; a port-forward that fails in passing has this long too. */
const PASSING_MS = 2000;
const FIRST_PAUSE_MS = 20;
/** Some proxies neither open a tunnel nor refuse it. */
const SILENT_MS = 10_000;

/**
 * HTTP through port-forward, or exec where that is forbidden, refused, not understood or blocked on the way, or the image has no httpd.
 * Throws a UserError where neither works: what port-forward met, unless that was a missing right.
 */
export async function reach(connection: Connection, pod: PodName, signal: AbortSignal): Promise<Reached> {
  const http = httpTransport(connection, pod);
  const deadline = performance.now() + PASSING_MS;
  const attempt = async (): Promise<Reached> => {
    try {
      return await asked(http, signal);
    } catch (error) {
      signal.throwIfAborted();
      const gone = error instanceof UserError && error.reason === "HelperLost";
      if (gone || (isPassing(error) && performance.now() < deadline)) throw error;
      return await otherwise(error);
    }
  };
  const otherwise = async (refused: unknown): Promise<Reached> => {
    const exec = await asked(execTransport(connection, pod), signal).catch((refusedToo: unknown) => {
      signal.throwIfAborted();
      throw refused instanceof ApiFailure && refused.status === 403 ? refusedToo : refused;
    });
    // What kept the tunnel from opening may have passed meanwhile.
    return isPassing(refused) ? await asked(http, signal).catch(() => exec) : exec;
  };
  const reached = await persistently(attempt, signal, FIRST_PAUSE_MS);
  if (reached.transport !== http) await http.close();
  return reached;
}

async function asked(transport: Transport, signal: AbortSignal): Promise<Reached> {
  return { transport, tools: (await transport.ask(["tools"], signal, SILENT_MS)).split("\n") };
}
