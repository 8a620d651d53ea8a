import { Agent, type Dispatcher } from "undici";

/** How registries are reached. */
export interface Route {
  /** PEM; undefined is what Node.js trusts by itself. */
  readonly authorities: readonly string[] | undefined;
  /** "http://…", "socks5://…"; undefined is directly. */
  readonly proxy: string | undefined;
}

const CONNECT_TIMEOUT_MS = 15_000;
/** A registry that stores a large blob answers late, but a silent one is not waited for for ever. */
const HEADERS_TIMEOUT_MS = 10 * 60_000;
const BODY_TIMEOUT_MS = 60_000;

/** Loads what a proxy needs only where there is one. */
export async function registryDispatcher({ authorities, proxy }: Route): Promise<Dispatcher> {
  const tls = authorities === undefined ? {} : { ca: [...authorities] };
  const connect = { ...tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true };
  const common = { headersTimeout: HEADERS_TIMEOUT_MS, bodyTimeout: BODY_TIMEOUT_MS, allowH2: false };
  if (proxy === undefined) return new Agent({ ...common, connect });
  if (proxy.startsWith("socks")) {
    const { Socks5ProxyAgent } = await import("undici");
    return new Socks5ProxyAgent(proxy, { ...common, requestTls: connect });
  }
  const { ProxyAgent } = await import("undici");
  return new ProxyAgent({
    ...common,
    uri: proxy,
    requestTls: connect,
    proxyTls: { allowH2: false },
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
}
