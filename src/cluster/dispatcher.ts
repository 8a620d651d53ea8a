import { Agent, buildConnector, type Dispatcher } from "undici";
import type { Credential } from "./auth/authentication.ts";
import type { TlsOptions } from "./auth/tls.ts";
import { publicAuthorities } from "./authorities.ts";
import type { Selection } from "./kubeconfig/options.ts";
import { proxyFor, type Proxy } from "./proxy.ts";
import { RAW_READS } from "./raw-reads.ts";

/** Load balancers cut idle connections, some after a minute: a checkpoint is silent for as long as it takes. */
const KEEP_ALIVE_DELAY_MS = 15_000;
const CONNECT_TIMEOUT_MS = 15_000;
const CONNECT = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS, timeout: CONNECT_TIMEOUT_MS };

/** One dispatcher a generation of credentials: connections are made anew with a new certificate, and the old ones end with their calls. */
export class Dispatchers {
  readonly #server: URL;
  readonly #selection: Selection;
  readonly #env: NodeJS.ProcessEnv;
  readonly #open = new Set<Dispatcher>();
  #current: { readonly generation: number; readonly dispatcher: Promise<Dispatcher> } | undefined;
  #destroyed = false;
  #alert: { readonly error: Error; readonly at: number } | undefined;

  constructor(server: URL, selection: Selection, env: NodeJS.ProcessEnv) {
    this.#server = server;
    this.#selection = selection;
    this.#env = env;
  }

  /** Throws a UserError where the proxy makes no sense. */
  async of({ generation, tls }: Credential): Promise<Dispatcher> {
    if (this.#current === undefined || this.#current.generation < generation) {
      const old = this.#current;
      this.#current = { generation, dispatcher: this.#make(tls) };
      void old?.dispatcher.then(async (dispatcher) => await this.#retire(dispatcher)).catch(() => undefined);
    }
    return await this.#current.dispatcher;
  }

  async #make(tls: TlsOptions): Promise<Dispatcher> {
    const alerted = (error: Error): void => void (this.#alert = { error, at: performance.now() });
    const dispatcher = await makeDispatcher(this.#server, tls, this.#selection.cluster["proxy-url"], this.#env, alerted);
    this.#open.add(dispatcher);
    if (this.#destroyed) await dispatcher.destroy();
    return dispatcher;
  }

  /** Calls under way, upgraded connections too, go on. */
  async #retire(dispatcher: Dispatcher): Promise<void> {
    await dispatcher.close();
    this.#open.delete(dispatcher);
  }

  /**
   * The TLS alert by which a server has ended a connection since then. undici says only that it was closed, since with TLS 1.3 an alert
   * about the client comes when the request is on its way.
   */
  alertSince(time: number): Error | undefined {
    return this.#alert !== undefined && this.#alert.at >= time ? this.#alert.error : undefined;
  }

  async destroy(): Promise<void> {
    this.#destroyed = true;
    const open = [...this.#open];
    this.#open.clear();
    await Promise.all(open.map(async (dispatcher) => await dispatcher.destroy()));
  }
}

/** An undici dispatcher for one server, directly or through a proxy. undici's own timeouts are off: a checkpoint takes what it takes. */
export async function makeDispatcher(
  server: URL,
  tls: TlsOptions,
  proxyUrl: unknown,
  env: NodeJS.ProcessEnv,
  alerted: (error: Error) => void = () => undefined,
): Promise<Dispatcher> {
  const proxy = proxyFor(server, proxyUrl, env);
  const trusting = server.protocol !== "https:" || tls.ca !== undefined || tls.rejectUnauthorized === false;
  const requestTls = trusting ? tls : { ...tls, ca: publicAuthorities(env) };
  // Not HTTP/2: there undici joins repeated headers with a comma, and the API server takes them for one impersonated group.
  const common = { headersTimeout: 0, bodyTimeout: 0, allowH2: false };
  const toServer = { ...requestTls, ...CONNECT, allowH2: false };
  if (proxy === undefined) return new Agent({ ...common, connect: listening(buildConnector({ ...toServer, onread: RAW_READS }), alerted) });
  if (server.protocol === "http:" && !proxy.url.protocol.startsWith("socks")) return await plainThroughProxy(proxy, common);
  const { throughProxy } = await import("./tunnel-proxy.ts");
  return new Agent({ ...common, connect: listening(throughProxy(proxy, toServer, proxyTrust(tls, env)), alerted) });
}

function listening(connect: buildConnector.connector, alerted: (error: Error) => void): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...outcome) => {
      outcome[1]?.on("error", (error: NodeJS.ErrnoException) => {
        if (/ALERT/.test(error.code ?? "")) alerted(error);
      });
      callback(...outcome);
    });
  };
}

/** Requests without TLS are made of the proxy itself, and not through a tunnel. */
async function plainThroughProxy({ url }: Proxy, common: object): Promise<Dispatcher> {
  const { ProxyAgent } = await import("undici");
  return new ProxyAgent({ ...common, uri: url.href, proxyTls: { allowH2: false } });
}

/** As kubectl, whom the cluster's connection trusts, a proxy is trusted with; and the system's authorities, since proxies are the system's. */
function proxyTrust({ ca, rejectUnauthorized }: TlsOptions, env: NodeJS.ProcessEnv): TlsOptions {
  if (rejectUnauthorized === false) return { rejectUnauthorized };
  return { ca: [...publicAuthorities(env), ...[ca ?? []].flat()] };
}
