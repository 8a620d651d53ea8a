import { BlockList, isIP } from "node:net";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";

export interface Proxy {
  readonly url: URL;
  /** As a person reads it: without a password. */
  readonly label: string;
}

/**
 * The proxy for a server, as client-go finds it: `proxy-url` of the kubeconfig, else HTTPS_PROXY or HTTP_PROXY unless NO_PROXY
 * names the host (exactly, by domain, by CIDR, with or without a port) or it is this machine.
 * Throws a UserError where it is no address of a proxy.
 */
export function proxyFor(server: URL, proxyUrl: unknown, env: NodeJS.ProcessEnv): Proxy | undefined {
  if (typeof proxyUrl === "string" && proxyUrl !== "") return ofKubeconfig(proxyUrl);
  const name = server.protocol === "https:" ? "https_proxy" : "http_proxy";
  const from = env[name.toUpperCase()] ? name.toUpperCase() : name;
  const text = env[from];
  if (!text || excluded(server, env["NO_PROXY"] || env["no_proxy"] || "")) return undefined;
  return ofEnvironment(text, from);
}

function ofKubeconfig(text: string): Proxy {
  const url = URL.parse(text);
  if (url !== null && /^(https?|socks5):$/.test(url.protocol) && url.hostname !== "") return proxy(url);
  throw new UserError({
    reason: "KubeconfigInvalid",
    message: say`invalid proxy-url "${withoutPassword(text)}" in the kubeconfig`,
    fix: "use http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT (a socks5 proxy resolves names itself)",
  });
}

function ofEnvironment(text: string, from: string): Proxy {
  const given = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (given !== null && /^(https?|socks5h?):$/.test(given.protocol) && given.hostname !== "") return proxy(given);
  throw new UserError({
    reason: "ProxyInvalid",
    message: say`invalid proxy "${withoutPassword(text)}" in ${from}`,
    fix: say`use http://HOST:PORT, or unset ${from}`,
  });
}

function proxy(url: URL): Proxy {
  const label = `${url.protocol}//${url.host}`;
  return { url, label };
}

function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/@]*@/, "//");
}

function excluded(server: URL, noProxy: string): boolean {
  const host = server.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = server.port || (server.protocol === "https:" ? "443" : "80");
  if (host === "localhost" || host === "::1" || host.startsWith("127.")) return true;
  return noProxy
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== "" && matches(entry, host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const [network, bits] = entry.split("/");
  if (network !== undefined && bits !== undefined) return inNetwork(network, Number(bits), host);
  // [fd00::1]:6443, fd00::1, host:6443.
  const [, name = entry.replace(/^\[|\]$/g, ""), wantedPort] =
    /^\[([^\]]+)\](?::(\d+))?$/.exec(entry) ?? /^([^:]+):(\d+)$/.exec(entry) ?? [];
  if (wantedPort !== undefined && wantedPort !== port) return false;
  if (isIP(name) > 0) return sameAddress(name, host);
  const domain = name.replace(/^\*(?=\.)/, "");
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

function sameAddress(one: string, other: string): boolean {
  return isIP(other) > 0 && inNetwork(one, isIP(one) === 4 ? 32 : 128, other);
}

function inNetwork(network: string, bits: number, host: string): boolean {
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || !(bits >= 0 && bits <= (family === 4 ? 32 : 128))) return false;
  const list = new BlockList();
  const type = family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(network, bits, type);
  return list.check(host, type);
}
