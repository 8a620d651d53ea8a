// An HTTP proxy in front of the real API server, as Rancher's, Teleport's or a company's: it may refuse or swallow requests.
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { request, Agent } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { load } from "js-yaml";
import { ADMIN } from "./harness.ts";

interface Kubeconfig {
  readonly clusters: [{ readonly cluster: Record<"server" | "certificate-authority-data", string> }];
  readonly users: [{ readonly user: Record<"client-certificate-data" | "client-key-data", string> }];
}

/** What becomes of a request: passed on, answered with this status, or never answered. */
export type Verdict = "pass" | "silent" | number;

export interface ApiProxy {
  /** What kubectl and the plugin are called with. */
  readonly flags: readonly string[];
  /** Requests by method and path, as they came. */
  readonly seen: string[];
}

/** Serves plain HTTP on this machine until the test ends, as the cluster's admin. */
export async function apiProxy(t: TestContext, verdict: (method: string, path: string) => Verdict): Promise<ApiProxy> {
  const { clusters, users } = load(readFileSync(ADMIN, "utf8")) as Kubeconfig;
  const [{ cluster }, { user }] = [clusters[0], users[0]];
  const upstream = new URL(cluster.server);
  const data = (text: string): Buffer => Buffer.from(text, "base64");
  const ca = data(cluster["certificate-authority-data"]);
  const [cert, key] = [data(user["client-certificate-data"]), data(user["client-key-data"])];
  const agent = new Agent({ ca, cert, key, keepAlive: true });
  const seen: string[] = [];
  const sockets = new Set<Duplex>();
  const forward = ({ method, url, headers }: IncomingMessage) =>
    request({ agent, host: upstream.hostname, port: upstream.port, method, path: url, headers });
  const judged = ({ method = "", url = "" }: IncomingMessage): Verdict => {
    const path = url.replace(/\?.*/s, "");
    seen.push(`${method} ${path}`);
    return verdict(method, path);
  };

  const server = createServer((incoming, answer) => {
    const what = judged(incoming);
    if (what === "silent") return;
    if (what !== "pass") {
      answer.writeHead(what, { "content-type": "text/plain" }).end(`the proxy says ${what}`);
      return;
    }
    const outgoing = forward(incoming);
    outgoing.on("response", (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on("error", () => answer.destroy());
    incoming.pipe(outgoing);
  });
  server.on("upgrade", (incoming, socket: Socket, head: Buffer) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    const what = judged(incoming);
    if (what === "silent") return;
    if (what !== "pass") {
      socket.end(`HTTP/1.1 ${what} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    const outgoing = forward(incoming);
    outgoing.on("upgrade", (response, other, first) => {
      sockets.add(other);
      other.on("error", () => undefined);
      const lines = Object.entries(response.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
      socket.write(first);
      other.write(head);
      socket.pipe(other).pipe(socket);
    });
    outgoing.on("response", (response) => {
      socket.write(
        `HTTP/1.1 ${response.statusCode} No\r\nconnection: close\r\ncontent-type: ${response.headers["content-type"] ?? "text/plain"}\r\n\r\n`,
      );
      response.pipe(socket);
    });
    outgoing.on("error", () => socket.destroy());
    outgoing.end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
    agent.destroy();
  });
  return { flags: ["--server", `http://127.0.0.1:${(server.address() as AddressInfo).port}`], seen };
}
