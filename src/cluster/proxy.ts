import { BlockList, isIP } from "node:net";

/**
 * The proxy for a server, as client-go finds it: `proxy-url` of the kubeconfig, else HTTPS_PROXY or HTTP_PROXY unless NO_PROXY
 * names the host (exactly, by domain, by CIDR, with or without a port) or it is this machine.
 */
export function proxyFor(server: URL, proxyUrl: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (proxyUrl !== undefined) return proxyUrl;
  const name = server.protocol === "https:" ? "https_proxy" : "http_proxy";
  const proxy = env[name.toUpperCase()] || env[name];
  if (!proxy || excluded(server, env["NO_PROXY"] || env["no_proxy"] || "")) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
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
  const [, name = entry, wantedPort] = /^([^:]+):(\d+)$/.exec(entry) ?? [];
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const domain = name.replace(/^\*(?=\.)/, "");
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

function inNetwork(network: string, bits: number, host: string): boolean {
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || !(bits >= 0 && bits <= (family === 4 ? 32 : 128))) return false;
  const list = new BlockList();
  const type = family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(network, bits, type);
  return list.check(host, type);
}
