// The real API server behind a proxy that has bad seconds: it sees every request, and answers some of them as it likes.
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request as httpsRequest, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "js-yaml";
import { makePki, type Pki } from "../kubectl-beside/pki.ts";
import { ADMIN, temporaryDirectory } from "./harness.ts";

/**
 * What becomes of a request. "lost": reset before the API server sees it; "cut": reset after it was carried out; "hidden": carried out,
 * and answered with a 504; a number: answered with that status, and not carried out.
 */
export type Fate = "passed" | "late" | "lost" | "cut" | "hidden" | 429 | 500 | 503;

export interface Passing {
  readonly method: string;
  readonly path: string;
  fate: Fate;
  /** Of the API server's answer; undefined where it was not asked. */
  status?: number;
}

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: { readonly server: string; readonly "certificate-authority-data": string } }];
  readonly users: readonly [{ readonly user: { readonly "client-certificate-data": string; readonly "client-key-data": string } }];
}

/** The call that is never sent twice, and so has no second chance. Those that ask a kubelet without a checkpoint are none. */
export const isCheckpoint = ({ method, path }: Pick<Passing, "method" | "path">): boolean =>
  method === "POST" && /\/proxy\/checkpoint\//.test(path) && !/no_such_pod|timeout=-1/.test(path);

export class FaultyApi {
  readonly requests: Passing[] = [];
  /** A kubeconfig for it, of the cluster's admin. */
  readonly kubeconfig: string;
  decide: (passing: Passing) => Fate | Promise<Fate> = () => "passed";
  /** When an answer of the API server is there, and when it has been handed on. */
  met: (passing: Passing, when: "answered" | "handed on") => Promise<void> = async () => await Promise.resolve();
  readonly #upstream: { readonly host: string; readonly port: number; readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  readonly #agent: Agent;
  readonly #server: Server;
  #port = 0;
  /** What TLS lies over, by the client's port. */
  readonly #sockets = new Map<number | undefined, Socket>();

  private constructor(kubeconfig: string, pki: Pki) {
    this.kubeconfig = kubeconfig;
    const { clusters, users } = load(readFileSync(ADMIN, "utf8")) as Kubeconfig;
    const [{ cluster }] = clusters;
    const [{ user }] = users;
    const { hostname, port } = new URL(cluster.server);
    const bytes = (data: string): Buffer => Buffer.from(data, "base64");
    this.#upstream = {
      host: hostname,
      port: Number(port),
      ca: bytes(cluster["certificate-authority-data"]),
      cert: bytes(user["client-certificate-data"]),
      key: bytes(user["client-key-data"]),
    };
    this.#agent = new Agent({ ...this.#upstream, keepAlive: true });
    this.#server = createServer({ cert: pki.read("server.crt"), key: pki.read("server.key") });
    this.#server.on("request", (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response));
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => void this.#tunnel(request, socket, head));
    this.#server.on("tlsClientError", () => undefined);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.set(socket.remotePort, socket);
      socket.on("close", () => this.#sockets.delete(socket.remotePort));
    });
  }

  static async start(t: TestContext): Promise<FaultyApi> {
    const directory = await temporaryDirectory(t);
    const pki = makePki(directory);
    const api = new FaultyApi(join(directory, "config"), pki);
    await api.accept();
    t.after(() => {
      api.#agent.destroy();
      api.refuse();
    });
    const cluster = {
      server: `https://127.0.0.1:${api.#port}`,
      "certificate-authority-data": pki.data("ca.crt"),
    };
    const parts = {
      users: [{ name: "admin", user: { token: "admin" } }],
      contexts: [{ name: "faulty", context: { cluster: "faulty", user: "admin" } }],
    };
    writeFileSync(api.kubeconfig, JSON.stringify({ clusters: [{ name: "faulty", cluster }], ...parts, "current-context": "faulty" }));
    return api;
  }

  /** Nobody listens any more, and all connections are gone: as where an API server was killed. */
  refuse(): void {
    this.#server.close();
    for (const socket of this.#sockets.values()) socket.resetAndDestroy();
  }

  /** Listens, again at the same port. */
  async accept(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(this.#port, "127.0.0.1", done));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** A tenth of all requests but checkpoints has some fault, each kind as often. Answers with the seed, for a failure's message. */
  misbehave(share = 0.1, seed = Math.floor(Math.random() * 2 ** 31)): number {
    const random = generator(seed);
    const fates: readonly Fate[] = [429, 500, 503, "lost", "cut", "hidden", "late"];
    this.decide = (passing) => {
      if (isCheckpoint(passing) || random() >= share) return "passed";
      return fates[Math.floor(random() * fates.length)] ?? "passed";
    };
    return seed;
  }

  async #fate(request: IncomingMessage): Promise<Passing> {
    const passing: Passing = { method: request.method ?? "", path: request.url ?? "", fate: "passed" };
    this.requests.push(passing);
    passing.fate = await this.decide(passing);
    if (passing.fate === "late") await sleep(200 + Math.random() * 1000);
    return passing;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const passing = await this.#fate(request);
    const { fate } = passing;
    if (fate === "lost") {
      this.#reset(request);
      return;
    }
    if (typeof fate === "number") {
      request.resume();
      const headers = { "content-type": "application/json", ...(fate === 429 ? { "retry-after": "1" } : {}) };
      response.writeHead(fate, headers).end(JSON.stringify({ kind: "Status", code: fate, message: "a bad second" }));
      return;
    }
    const upstream = this.#ask(request, (answer) => {
      passing.status = answer.statusCode ?? 0;
      if (fate === "cut" || fate === "hidden") {
        answer.resume();
        answer.on("end", () => {
          if (fate === "cut") this.#reset(request);
          else response.writeHead(504, { "content-type": "text/html" }).end("<html>gateway timeout</html>");
        });
        // A watch has no end of its own.
        if (passing.path.includes("watch=true")) setTimeout(() => answer.destroy(), 300);
        answer.on("close", () => request.socket.destroy());
        return;
      }
      answer.on("error", () => response.destroy());
      response.on("finish", () => void this.met(passing, "handed on"));
      void this.met(passing, "answered").then(() => {
        response.writeHead(passing.status ?? 0, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
      });
    });
    upstream.on("error", () => request.socket.destroy());
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
  }

  #reset({ socket }: IncomingMessage): void {
    this.#sockets.get(socket.remotePort)?.resetAndDestroy();
    socket.destroy();
  }

  /** Upgraded connections; of those that are to be cut, after a while. */
  async #tunnel(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const passing = await this.#fate(request);
    const { fate } = passing;
    client.on("error", () => undefined);
    if (fate === "lost" || typeof fate === "number" || fate === "hidden") {
      if (fate !== "lost") client.end(`HTTP/1.1 ${fate === "hidden" ? 504 : fate} Bad\r\ncontent-length: 3\r\n\r\nbad`);
      else client.destroy();
      return;
    }
    const upstream = this.#ask(request, (answer) => {
      passing.status = answer.statusCode ?? 0;
      let body = "";
      answer.on("data", (piece: Buffer) => (body += piece.toString()));
      answer.on("end", () =>
        client.end(
          `HTTP/1.1 ${passing.status} Refused\r\ncontent-type: ${answer.headers["content-type"] ?? "text/plain"}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        ),
      );
    });
    upstream.on("error", () => client.destroy());
    upstream.on("upgrade", (answer, socket, first) => {
      passing.status = 101;
      const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
      client.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join("")}\r\n`);
      if (first.length > 0) client.write(first);
      if (head.length > 0) socket.write(head);
      socket.pipe(client).pipe(socket);
      socket.on("error", () => client.destroy());
      client.on("close", () => socket.destroy());
      socket.on("close", () => client.destroy());
      if (fate === "cut") setTimeout(() => client.destroy(), Math.random() * 300);
    });
    upstream.end();
  }

  #ask(request: IncomingMessage, answered: (answer: IncomingMessage) => void) {
    const { authorization: _, host: __, ...headers } = request.headers;
    const upgrade = request.headers.upgrade !== undefined;
    const agent = upgrade ? { agent: false as const, ...this.#upstream } : { agent: this.#agent };
    const { host, port } = this.#upstream;
    return httpsRequest(
      { ...agent, host, port, method: request.method, path: request.url, headers: { ...headers, host: `${host}:${port}` } },
      answered,
    );
  }
}

/** Mulberry32: small, and the same for a seed everywhere. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
