// Stand-ins for what a real cluster cannot be made to say: an API server that answers as it is told.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { Connection } from "../src/cluster/connection.ts";
import type { ConnectionOptions } from "../src/cluster/kubeconfig/options.ts";
import type { Context, Event } from "../src/model/context.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves on a free port of this machine until the test ends. */
export async function fakeApiserver(t: TestContext, handler: Handler): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A context without a terminal, which keeps what is emitted. */
export function context(signal: AbortSignal, env: NodeJS.ProcessEnv = {}): Context & { readonly events: Event[] } {
  const events: Event[] = [];
  const never = async (): Promise<never> => await Promise.reject(new Error("a question without a terminal"));
  return {
    signal,
    env,
    ask: { possible: false, confirm: never, secret: never, choose: never, pick: never },
    emit: (event) => events.push(event),
    now: Date.now,
    version: "v0.0.0",
    events,
  };
}

export const NO_OPTIONS: ConnectionOptions = { asGroups: [], insecure: false, requestTimeoutMs: 0 };

/** A connection to a fake; closed when the test ends. */
export async function connectTo(
  t: TestContext,
  server: string,
  options: Partial<ConnectionOptions> = {},
  env: NodeJS.ProcessEnv = {},
): Promise<Connection> {
  const connection = await Connection.open({ ...NO_OPTIONS, kubeconfig: "/dev/null", server, ...options }, context(t.signal, env));
  t.after(async () => await connection.close());
  return connection;
}
