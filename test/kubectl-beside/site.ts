// One case's servers, proxies and files: made when first asked for, gone at the end.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Pki } from "./pki.ts";
import { httpProxy, socksProxy, type Proxy } from "./proxies.ts";
import {
  apiServer,
  issuer,
  strictServer,
  type ApiServer,
  type ApiServerOptions,
  type Issuer,
  type Listening,
  type Seen,
} from "./servers.ts";

/** Who ran it: each has a folder of its own for what it may change. */
export type Side = "kubectl" | "plugin";

export class Site {
  readonly pki: Pki;
  readonly #folder: string;
  readonly #servers = new Map<string, ApiServer>();
  readonly #proxies: Proxy[] = [];
  readonly #others: Listening[] = [];
  #issuer: Issuer | undefined;

  constructor(pki: Pki, folder: string) {
    this.pki = pki;
    this.#folder = folder;
  }

  folder(side: Side): string {
    const folder = join(this.#folder, side);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  async api(name = "main", options: Partial<ApiServerOptions> = {}): Promise<ApiServer> {
    const server = this.#servers.get(name) ?? (await apiServer({ pki: this.pki, ...options }));
    this.#servers.set(name, server);
    return server;
  }

  async http(): Promise<ApiServer> {
    return await this.api("plain", { pki: undefined });
  }

  async proxy(options: Parameters<typeof httpProxy>[0] = {}): Promise<Proxy> {
    return this.#with(await httpProxy(options));
  }

  async socks(options: Parameters<typeof socksProxy>[0] = {}): Promise<Proxy> {
    return this.#with(await socksProxy(options));
  }

  async issuer(options: Parameters<typeof issuer>[1] = {}): Promise<Issuer> {
    return (this.#issuer ??= await issuer(this.pki, options));
  }

  async strict(): Promise<Listening> {
    const server = await strictServer(this.pki);
    this.#others.push(server);
    return server;
  }

  #with(proxy: Proxy): Proxy {
    this.#proxies.push(proxy);
    return proxy;
  }

  write(side: Side, file: string, content: string | Buffer): string {
    const path = join(this.folder(side), file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    if (String(content).startsWith("#!")) chmodSync(path, 0o755);
    return path;
  }

  read(side: Side, file: string): string | undefined {
    try {
      return readFileSync(join(this.folder(side), file), "utf8");
    } catch {
      return undefined;
    }
  }

  /** What has come since the last time, without what differs from run to run. */
  take(): { requests: string[]; proxied: string[]; refreshes: string[] } {
    const named = (text: string): string => this.named(text);
    const requests = [...this.#servers].flatMap(([name, { seen }]) => seen.splice(0).map((one) => named(described(name, one))));
    this.#issuer?.forget();
    const proxied = [...new Set(this.#proxies.flatMap(({ asked }) => asked.splice(0).map(named)))];
    return { requests, proxied, refreshes: this.#issuer?.refreshes.splice(0) ?? [] };
  }

  /** A text with the servers' names in place of their ports. */
  named(text: string): string {
    const ports = new Map([...this.#servers].map(([name, { port }]) => [String(port), name.toUpperCase()]));
    return text.replaceAll(/(?<=:)\d{4,5}(?!\d)/g, (port) => ports.get(port) ?? port);
  }

  close(): void {
    for (const one of [...this.#servers.values(), ...this.#proxies, ...this.#others, ...(this.#issuer === undefined ? [] : [this.#issuer])])
      one.close();
  }
}

/** A line with all that says where a request went, and as whom. */
function described(server: string, { method, url, host, sni, certificate, authorization, impersonated }: Seen): string {
  return [
    // kubectl tells the server of --request-timeout; it is no part of who asks for what.
    `${server}: ${method} ${url.replace(/[?&]timeout=[\w.]+/, "")} host=${host}`,
    ...(sni === undefined ? ["no TLS"] : [`sni=${sni || "none"}`]),
    ...(certificate === undefined ? [] : [`certificate=${certificate}`]),
    ...(authorization === undefined ? [] : [`authorization=${authorization}`]),
    ...Object.entries(impersonated)
      .sort(([one], [other]) => one.localeCompare(other))
      .map(([name, values]) => `${name}=${values.join("+")}`),
  ].join(" ");
}
