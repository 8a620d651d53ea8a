// Proxies that record who is to be reached through them, and lead every name to this machine.
import { createServer as createHttp, request as httpRequest, type IncomingMessage } from "node:http";
import { createServer as createHttps } from "node:https";
import { connect, createServer as createTcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Pki } from "./pki.ts";
import { listen, type Listening } from "./servers.ts";

export interface Proxy extends Listening {
  /** What each connection was for. */
  readonly asked: string[];
}

interface HttpProxyOptions {
  /** With TLS, by a certificate that only the system's authority has signed. */
  readonly pki?: Pki;
  /** "user:password" that it wants; else it answers 407. */
  readonly login?: string;
}

export async function httpProxy({ pki, login }: HttpProxyOptions = {}): Promise<Proxy> {
  const asked: string[] = [];
  const note = (what: string, request: IncomingMessage): boolean => {
    const { servername } = request.socket as TLSSocket;
    const given = request.headers["proxy-authorization"];
    const named = pki === undefined ? "" : ` sni=${servername || "none"}`;
    asked.push(`${what}${named}${given === undefined ? "" : ` by ${atob(given.replace("Basic ", ""))}`}`);
    return login === undefined || given === `Basic ${btoa(login)}`;
  };
  const server = pki === undefined ? createHttp() : createHttps({ cert: pki.read("proxy.crt"), key: pki.read("proxy.key") });
  server.on("tlsClientError", () => undefined);
  server.on("connect", (request: IncomingMessage, client: Duplex, head: Buffer) => {
    if (!note(`CONNECT ${request.url}`, request)) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const upstream = connect(portOf(request.url ?? ""), addressOf(request.url ?? ""), () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.write(head);
      join(client, upstream);
    });
    upstream.on("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
  });
  server.on("request", (request, response) => {
    note(`${request.method} ${request.url?.replace(/\/api.*/, "")}`, request);
    const { port, pathname, search } = new URL(request.url ?? "", "http://none");
    const upstream = httpRequest(
      { port, host: "127.0.0.1", path: `${pathname}${search}`, method: request.method, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    upstream.on("error", () => response.writeHead(502).end());
    request.pipe(upstream);
  });
  return { asked, ...(await listen(server, pki === undefined ? "http" : "https")) };
}

/** RFC 1928; with a login also RFC 1929. */
export async function socksProxy({ login }: { readonly login?: string } = {}): Promise<Proxy> {
  const asked: string[] = [];
  const server = createTcp((client) => {
    client.on("error", () => undefined);
    void serveSocks(client, login, asked).catch(() => client.destroy());
  });
  return { asked, ...(await listen(server, "socks5")) };
}

async function serveSocks(client: Socket, login: string | undefined, asked: string[]): Promise<void> {
  const [, count = 0] = await bytes(client, 2);
  const methods = await bytes(client, count);
  let by = "";
  if (login !== undefined) {
    if (!methods.includes(2)) {
      client.end(Buffer.from([5, 0xff]));
      return;
    }
    client.write(Buffer.from([5, 2]));
    const [, userLength = 0] = await bytes(client, 2);
    const user = (await bytes(client, userLength)).toString();
    const [passwordLength = 0] = await bytes(client, 1);
    const password = (await bytes(client, passwordLength)).toString();
    by = ` by ${user}:${password}`;
    client.write(Buffer.from([1, `${user}:${password}` === login ? 0 : 1]));
  } else client.write(Buffer.from([5, 0]));
  const [, , , type = 0] = await bytes(client, 4);
  const host = await socksHost(client, type);
  const port = (await bytes(client, 2)).readUInt16BE();
  asked.push(`type ${type} ${host}:${port}${by}`);
  const upstream = connect(port, addressOf(`${host}:${port}`), () => {
    client.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
    join(client, upstream);
  });
  upstream.on("error", () => client.end(Buffer.from([5, 5, 0, 1, 0, 0, 0, 0, 0, 0])));
}

async function socksHost(client: Socket, type: number): Promise<string> {
  if (type === 1) return [...(await bytes(client, 4))].join(".");
  if (type === 4) {
    const address = await bytes(client, 16);
    const groups = Array.from({ length: 8 }, (_, at) => address.readUInt16BE(2 * at).toString(16));
    return `[${groups.join(":").replace(/^(0:)+/, "::")}]`;
  }
  const [length = 0] = await bytes(client, 1);
  return (await bytes(client, length)).toString();
}

async function bytes(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const piece = count === 0 ? Buffer.alloc(0) : (socket.read(count) as Buffer | null);
    if (piece !== null) return piece;
    await new Promise<void>((done, fail) => {
      socket.once("readable", done);
      socket.once("end", () => fail(new Error("ended")));
    });
  }
}

function portOf(target: string): number {
  return Number(/:(\d+)$/.exec(target)?.[1] ?? 443);
}

/** Names that nobody else resolves are this machine. */
function addressOf(target: string): string {
  return target.startsWith("[") ? "::1" : "127.0.0.1";
}

function join(a: Duplex, b: Duplex): void {
  a.pipe(b).pipe(a);
  a.on("error", () => b.destroy());
  b.on("error", () => a.destroy());
}
