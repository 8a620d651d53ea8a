import { Agent, type Dispatcher } from "undici";
import { publicAuthorities } from "./authorities.ts";
import type { TlsOptions } from "./credentials.ts";
import type { Selection } from "./kubeconfig/options.ts";
import { proxyFor } from "./proxy.ts";
import { RAW_READS } from "./raw-reads.ts";

/** Load balancers cut idle connections, some after a minute: a checkpoint is silent for as long as it takes. */
const KEEP_ALIVE_DELAY_MS = 15_000;
const CONNECT_TIMEOUT_MS = 15_000;

/** An undici dispatcher for one API server, directly or through a proxy. undici's own timeouts are off: a checkpoint takes what it takes. */
export async function makeDispatcher(server: URL, tls: TlsOptions, { cluster }: Selection, env: NodeJS.ProcessEnv): Promise<Dispatcher> {
  const proxyUrl = cluster["proxy-url"];
  const proxy = proxyFor(server, typeof proxyUrl === "string" ? proxyUrl : undefined, env);
  const trusting = server.protocol !== "https:" || tls.ca !== undefined || tls.rejectUnauthorized === false;
  const requestTls = trusting ? tls : { ...tls, ca: publicAuthorities(env) };
  const connect = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS, timeout: CONNECT_TIMEOUT_MS };
  const toServer = { ...requestTls, ...connect, onread: RAW_READS };
  // Not HTTP/2: there undici joins repeated headers with a comma, and the API server takes them for one impersonated group.
  const common = { headersTimeout: 0, bodyTimeout: 0, allowH2: false };
  if (proxy === undefined) return new Agent({ ...common, connect: toServer });
  if (proxy.startsWith("socks")) {
    const { Socks5ProxyAgent } = await import("undici");
    return new Socks5ProxyAgent(proxy, { ...common, requestTls: toServer });
  }
  const { ProxyAgent } = await import("undici");
  return new ProxyAgent({ ...common, uri: proxy, requestTls: toServer, proxyTls: { allowH2: false }, connect });
}
