import type { IncomingMessage } from "node:http";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { buildConnector } from "undici";
import type { TlsOptions } from "./auth/tls.ts";
import { codeOf, describe, Unanswered } from "./network-error.ts";
import type { Proxy } from "./proxy.ts";
import { say } from "../model/phrase.ts";

type ServerOptions = Parameters<typeof buildConnector>[0] & { readonly timeout: number };

/** Connects to servers through an HTTP proxy's CONNECT, or SOCKS5. Its failures name the proxy, not the server. */
export function throughProxy(proxy: Proxy, toServer: ServerOptions, trust: TlsOptions): buildConnector.connector {
  const direct = buildConnector(toServer);
  const connect = async (options: buildConnector.Options): Promise<buildConnector.Options> => {
    const target = {
      host: options.hostname.replace(/^\[|\]$/g, ""),
      port: Number(options.port || (options.protocol === "https:" ? 443 : 80)),
    };
    return { ...options, httpSocket: (await tunnel(proxy, target, trust, toServer.timeout)) as Socket };
  };
  return (options, callback) => {
    connect(options).then(
      (through) => {
        const { httpSocket } = through;
        if (options.protocol === "https:" || httpSocket === undefined) direct(through, callback);
        else callback(null, httpSocket);
      },
      (error: Error) => callback(error, null),
    );
  };
}

interface Target {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

async function tunnel(proxy: Proxy, target: Target, trust: TlsOptions, timeoutMs: number): Promise<Duplex> {
  let socket: Socket | undefined;
  const work = async (): Promise<Duplex> => {
    socket = await connected(proxy, trust);
    return proxy.url.protocol.startsWith("socks") ? await socksTunnel(socket, proxy, target) : await httpTunnel(socket, proxy, target);
  };
  const timer = setTimeout(() => socket?.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
  try {
    return await work();
  } catch (error) {
    socket?.destroy();
    throw error instanceof Unanswered ? error : unreachable(proxy, error);
  } finally {
    clearTimeout(timer);
  }
}

/** A connection to the proxy itself. */
async function connected({ url }: Proxy, trust: TlsOptions): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || { "https:": 443, "http:": 80 }[url.protocol] || 1080);
  const encrypted = url.protocol === "https:";
  const socket = encrypted
    ? connectTls({ ...trust, host, port, ALPNProtocols: ["http/1.1"], ...(isIP(host) > 0 ? {} : { servername: host }) })
    : connectTcp({ host, port });
  socket.setNoDelay(true).setKeepAlive(true, 15_000);
  // Whoever uses it next listens for itself.
  socket.on("error", () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once(encrypted ? "secureConnect" : "connect", resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
  });
  return socket;
}

async function httpTunnel(socket: Socket, proxy: Proxy, { host, port }: Target): Promise<Duplex> {
  const { request } = await import("node:http");
  const { username, password } = proxy.url;
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
  const target = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const headers = { host: target, ...(username === "" ? {} : { "proxy-authorization": `Basic ${login}` }) };
  return await new Promise((resolve, reject) => {
    const asked = request({ method: "CONNECT", path: target, headers, createConnection: () => socket });
    asked.on("connect", (answer: IncomingMessage, tunnelled: Duplex, head: Buffer) => {
      const { statusCode = 0 } = answer;
      if (statusCode < 200 || statusCode > 299) {
        tunnelled.destroy();
        reject(refused(proxy, statusCode, answer.statusMessage ?? "", target));
        return;
      }
      if (head.length > 0) tunnelled.unshift(head);
      resolve(tunnelled);
    });
    asked.on("response", (answer) => {
      answer.destroy();
      reject(refused(proxy, answer.statusCode ?? 0, answer.statusMessage ?? "", target));
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** RFC 1928, with a user's name and password by RFC 1929. */
async function socksTunnel(socket: Socket, proxy: Proxy, { host, port }: Target): Promise<Duplex> {
  const { username, password } = proxy.url;
  socket.write(Buffer.from(username === "" ? [5, 1, 0] : [5, 2, 0, 2]));
  const [, method] = await bytes(socket, 2);
  if (method === 2) {
    const [name, secret] = [username, password].map((part) => Buffer.from(decodeURIComponent(part)));
    socket.write(Buffer.concat([Buffer.of(1), ...[name, secret].flatMap((part = Buffer.of()) => [Buffer.of(part.length), part])]));
    const [, verdict] = await bytes(socket, 2);
    if (verdict !== 0) throw proxyError("ProxyRefused", say`the proxy ${proxy.label} does not accept the user and password`);
  } else if (method !== 0) {
    throw proxyError("ProxyRefused", say`the proxy ${proxy.label} requires a login`, undefined, LOGIN);
  }
  const toPort = Buffer.alloc(2);
  toPort.writeUInt16BE(port);
  socket.write(Buffer.concat([Buffer.from([5, 1, 0]), socksAddress(host), toPort]));
  const [, reply = 255, , type] = await bytes(socket, 4);
  const length = type === 1 ? 4 : type === 4 ? 16 : ((await bytes(socket, 1))[0] ?? 0);
  await bytes(socket, length + 2);
  if (reply === 0) return socket;
  const why = SOCKS_REPLIES[reply] ?? `SOCKS reply ${reply}`;
  throw proxyError("ApiserverUnreachable", say`the proxy ${proxy.label} cannot reach ${host}:${port}`, why);
}

const SOCKS_REPLIES: Readonly<Record<number, string>> = {
  1: "general failure",
  2: "not allowed by its rules",
  3: "network unreachable",
  4: "host unreachable",
  5: "connection refused",
  6: "TTL expired",
};

/** Type 1 is an IPv4 address, 4 an IPv6 address, 3 a name that the proxy resolves. */
function socksAddress(host: string): Buffer {
  const family = isIP(host);
  if (family === 4) return Buffer.from([1, ...host.split(".").map(Number)]);
  if (family === 0) return Buffer.concat([Buffer.from([3, Buffer.byteLength(host)]), Buffer.from(host)]);
  return Buffer.concat([Buffer.of(4), ipv6Bytes(host)]);
}

function ipv6Bytes(host: string): Buffer {
  // As URLs write it: an IPv4 tail has become two groups.
  const text = new URL(`http://[${host.replace(/%.*$/, "")}]`).hostname.slice(1, -1);
  const [before = "", after] = text.split("::");
  const groups = (part: string | undefined): number[] => (part ? part.split(":").map((group) => Number.parseInt(group, 16)) : []);
  const [head, tail] = [groups(before), groups(after)];
  const all = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail];
  const address = Buffer.alloc(16);
  for (const [index, group] of all.entries()) address.writeUInt16BE(group, 2 * index);
  return address;
}

async function bytes(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const piece = socket.read(count) as Buffer | null;
    if (piece !== null) return piece;
    await new Promise<void>((resolve, reject) => {
      const settle = (work: () => void) => (): void => {
        for (const [event, listener] of listeners) socket.off(event, listener);
        work();
      };
      const listeners = [
        ["readable", settle(resolve)],
        ["end", settle(() => reject(new Error("the proxy ended the connection")))],
        ["close", settle(() => reject(socket.errored ?? new Error("the connection was closed")))],
      ] as const;
      for (const [event, listener] of listeners) socket.on(event, listener);
    });
  }
}

const LOGIN = "add USER:PASSWORD@ before its host in proxy-url or HTTPS_PROXY";

function refused(proxy: Proxy, status: number, words: string, target: string): Unanswered {
  if (status === 407) {
    const has = proxy.url.username !== "";
    return proxyError(
      "ProxyRefused",
      has
        ? say`the proxy ${proxy.label} does not accept the user and password (407)`
        : say`the proxy ${proxy.label} requires a login (407)`,
      words,
      has ? undefined : LOGIN,
    );
  }
  const message = say`the proxy ${proxy.label} refused to connect to ${target} (${status})`;
  const passing = status === 502 || status === 503 || status === 504;
  return proxyError(passing ? "ApiserverUnreachable" : "ProxyRefused", message, words || undefined);
}

function unreachable(proxy: Proxy, error: unknown): Unanswered {
  const why = error instanceof Error ? describe(error) : String(error);
  const untrusted = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|INVALID_CA|ERR_TLS_CERT|ERR_SSL_|EPROTO)/.test(codeOf(error));
  return untrusted
    ? proxyError(
        "ProxyUntrusted",
        say`cannot trust the certificate of the proxy ${proxy.label}`,
        why,
        "check proxy-url or HTTPS_PROXY; the system must trust the proxy's certificate",
        error,
      )
    : proxyError(
        "ProxyUnreachable",
        say`cannot connect to the proxy ${proxy.label}`,
        why,
        "check proxy-url in the kubeconfig, or HTTPS_PROXY",
        error,
      );
}

/** Nothing has been sent to the server yet. */
function proxyError(reason: string, message: ReturnType<typeof say>, why?: string, fix?: string, cause?: unknown): Unanswered {
  return new Unanswered({ reason, message, why, fix, cause, sent: false });
}
