// Proxies: of the kubeconfig, and of the environment.
import type { Site } from "../site.ts";
import type { Case, Given } from "../table.ts";
import { config } from "./kubeconfig.ts";

const user = { token: "t" };

/** For a server that only a proxy finds. */
async function named(site: Site, more: Partial<Given> & { cluster?: object } = {}): Promise<Given> {
  const { cluster = {}, ...given } = more;
  return { kubeconfig: await config(site, { user, server: `https://api.example:${(await site.api()).port}`, cluster }), ...given };
}

/** NO_PROXY for the server's address, where the proxy leads nowhere: only who passes it by gets there. */
function excepted(noProxy: string, host: string, reached: boolean): Case {
  return {
    name: `NO_PROXY=${noProxy} and https://${host}`,
    given: async (site) => {
      const { port } = await site.api();
      const proxy = await site.proxy();
      const server = `https://${host}:${port}`;
      const text = noProxy.replace("PORT", String(port));
      return {
        kubeconfig: await config(site, { user, server }),
        env: { HTTPS_PROXY: proxy.url, NO_PROXY: text },
        args: ["--request-timeout", "5s"],
      };
    },
    ...(reached
      ? { arrives: "Bearer t" }
      : { kubectlSays: /no such host|dial tcp/, fails: { reason: "ApiserverUnreachable", says: /ENOTFOUND|EAI_AGAIN/ } }),
  };
}

export const PROXIED: readonly Case[] = [
  {
    name: "proxy-url: HTTP",
    given: async (site) => await named(site, { cluster: { "proxy-url": (await site.proxy()).url } }),
    arrives: /host=api\.example:MAIN sni=api\.example .*Bearer t/,
  },
  {
    name: "proxy-url: HTTP, for an address of this machine too",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "proxy-url": (await site.proxy()).url } }) }),
    arrives: /sni=none .*Bearer t/,
  },
  {
    name: "proxy-url: HTTP, with a login",
    given: async (site) => {
      const { port } = await site.proxy({ login: "joe:p@ss" });
      return await named(site, { cluster: { "proxy-url": `http://joe:p%40ss@127.0.0.1:${port}` } });
    },
    arrives: "Bearer t",
  },
  {
    name: "proxy-url: HTTP, without the login that it wants",
    given: async (site) => await named(site, { cluster: { "proxy-url": (await site.proxy({ login: "joe:secret" })).url } }),
    kubectlSays: /Proxy Authentication Required/,
    fails: { reason: "ProxyRefused", says: /http:\/\/127\.0\.0\.1:\d+.*407|407.*http:\/\/127\.0\.0\.1:\d+/s },
  },
  {
    name: "proxy-url: HTTP, with a wrong login, which no message shows",
    given: async (site) => {
      const { port } = await site.proxy({ login: "joe:secret" });
      return await named(site, { cluster: { "proxy-url": `http://joe:wrongpass@127.0.0.1:${port}` } });
    },
    kubectlSays: /Proxy Authentication Required/,
    fails: { reason: "ProxyRefused", says: /^(?![\s\S]*wrongpass)[\s\S]*407/ },
  },
  {
    name: "proxy-url: HTTP, to a server without TLS",
    given: async (site) => {
      const { port } = await site.http();
      return {
        kubeconfig: await config(site, { server: `http://api.example:${port}`, cluster: { "proxy-url": (await site.proxy()).url } }),
      };
    },
    arrives: /^plain: .*host=api\.example:PLAIN no TLS$/,
  },
  {
    name: "proxy-url: HTTPS by address, with the system's CA",
    given: async (site) =>
      await named(site, {
        cluster: { "proxy-url": (await site.proxy({ pki: site.pki })).url, "certificate-authority-data": undefined },
        files: { "system.crt": site.pki.read("system.crt") + site.pki.read("ca.crt") },
        env: { SSL_CERT_FILE: "HERE/system.crt" },
      }),
    arrives: "Bearer t",
    apart: true,
  },
  {
    name: "proxy-url: HTTPS, with the system's CA, and a cluster with another",
    given: async (site) =>
      await named(site, {
        cluster: { "proxy-url": (await site.proxy({ pki: site.pki })).url },
        files: { "system.crt": site.pki.read("system.crt") },
        env: { SSL_CERT_FILE: "HERE/system.crt" },
      }),
    better: "kubectl trusts a proxy by the cluster's CA alone",
    kubectlSays: /proxyconnect tcp: tls: failed to verify certificate/,
    arrives: "Bearer t",
    apart: true,
  },
  {
    name: "proxy-url: HTTPS, with the cluster's CA",
    given: async (site) =>
      await named(site, {
        cluster: {
          "proxy-url": (await site.proxy({ pki: site.pki })).url,
          "certificate-authority-data": Buffer.from(site.pki.read("system.crt") + site.pki.read("ca.crt")).toString("base64"),
        },
      }),
    arrives: "Bearer t",
  },
  {
    name: "proxy-url: HTTPS by name",
    given: async (site) => {
      const { port } = await site.proxy({ pki: site.pki });
      return await named(site, {
        cluster: { "proxy-url": `https://localhost:${port}`, "certificate-authority-data": undefined },
        files: { "system.crt": site.pki.read("system.crt") + site.pki.read("ca.crt") },
        env: { SSL_CERT_FILE: "HERE/system.crt" },
      });
    },
    arrives: "Bearer t",
    apart: true,
  },
  {
    name: "proxy-url: HTTPS that nobody trusts",
    given: async (site) => await named(site, { cluster: { "proxy-url": (await site.proxy({ pki: site.pki })).url } }),
    kubectlSays: /certificate signed by unknown authority/,
    fails: { reason: "ProxyUntrusted", says: /https:\/\/127\.0\.0\.1:\d+/ },
  },
  {
    name: "proxy-url: SOCKS5",
    given: async (site) => await named(site, { cluster: { "proxy-url": (await site.socks()).url } }),
    arrives: "Bearer t",
  },
  {
    name: "proxy-url: SOCKS5, to an IPv4 address",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "proxy-url": (await site.socks()).url } }) }),
    arrives: "Bearer t",
  },
  {
    name: "proxy-url: SOCKS5, to an IPv6 address",
    given: async (site) => ({
      kubeconfig: await config(site, {
        user,
        server: (await site.api("six", { host: "::1" })).url,
        cluster: { "proxy-url": (await site.socks()).url },
      }),
    }),
    arrives: /^six: .*sni=none .*Bearer t/,
  },
  {
    name: "proxy-url: SOCKS5, with a login",
    given: async (site) => {
      const { port } = await site.socks({ login: "joe:p@ss" });
      return await named(site, { cluster: { "proxy-url": `socks5://joe:p%40ss@127.0.0.1:${port}` } });
    },
    arrives: "Bearer t",
  },
  {
    name: "proxy-url: SOCKS5, to a server without TLS",
    given: async (site) => {
      const { port } = await site.http();
      return {
        kubeconfig: await config(site, { server: `http://api.example:${port}`, cluster: { "proxy-url": (await site.socks()).url } }),
      };
    },
    arrives: /^plain: .* no TLS$/,
  },
  {
    name: "proxy-url: socks5h",
    given: async (site) => await named(site, { cluster: { "proxy-url": "socks5h://127.0.0.1:1080" } }),
    kubectlSays: /unsupported scheme "socks5h"/,
    fails: { reason: "KubeconfigInvalid", says: /socks5h/ },
  },
  {
    name: "proxy-url without a scheme",
    given: async (site) => await named(site, { cluster: { "proxy-url": "proxy.example:3128" } }),
    kubectlSays: /unsupported scheme "proxy\.example"/,
    fails: { reason: "KubeconfigInvalid", says: /proxy\.example:3128/ },
  },
  {
    name: "an empty proxy-url",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "proxy-url": "" } }) }),
    arrives: "Bearer t",
  },
  {
    name: "an empty proxy-url, and HTTPS_PROXY",
    given: async (site) => await named(site, { cluster: { "proxy-url": "" }, env: { HTTPS_PROXY: (await site.proxy()).url } }),
    arrives: "Bearer t",
  },
  {
    name: "a proxy that is not there",
    given: async (site) => {
      const proxy = await site.proxy();
      proxy.close();
      return await named(site, { cluster: { "proxy-url": proxy.url } });
    },
    kubectlSays: /The connection to the server api\.example:\d+ was refused/,
    fails: { reason: "ProxyUnreachable", says: /http:\/\/127\.0\.0\.1:\d+/ },
  },
  {
    name: "HTTPS_PROXY",
    given: async (site) => await named(site, { env: { HTTPS_PROXY: (await site.proxy()).url } }),
    arrives: "Bearer t",
  },
  {
    name: "https_proxy",
    given: async (site) => await named(site, { env: { https_proxy: (await site.proxy()).url } }),
    arrives: "Bearer t",
  },
  {
    name: "HTTPS_PROXY without a scheme",
    given: async (site) => await named(site, { env: { HTTPS_PROXY: `127.0.0.1:${(await site.proxy()).port}` } }),
    arrives: "Bearer t",
  },
  {
    name: "HTTPS_PROXY and https_proxy: the upper case",
    given: async (site) => await named(site, { env: { HTTPS_PROXY: (await site.proxy()).url, https_proxy: "http://127.0.0.1:1" } }),
    arrives: "Bearer t",
  },
  {
    name: "HTTPS_PROXY that is SOCKS5",
    given: async (site) => await named(site, { env: { HTTPS_PROXY: (await site.socks()).url } }),
    arrives: "Bearer t",
  },
  {
    name: "HTTP_PROXY is not for https",
    given: async (site) => ({
      kubeconfig: await config(site, { user, server: `https://localhost:${(await site.api()).port}` }),
      env: { HTTP_PROXY: "http://127.0.0.1:1" },
    }),
    arrives: "Bearer t",
  },
  {
    name: "HTTP_PROXY for http",
    given: async (site) => {
      const { port } = await site.http();
      return { kubeconfig: await config(site, { server: `http://api.example:${port}` }), env: { HTTP_PROXY: (await site.proxy()).url } };
    },
    arrives: /^plain: .* no TLS$/,
  },
  {
    name: "ALL_PROXY is nobody's",
    given: async (site) => ({ kubeconfig: await config(site, { user }), env: { ALL_PROXY: "http://127.0.0.1:1" } }),
    arrives: "Bearer t",
  },
  {
    name: "HTTPS_PROXY that is no address",
    given: async (site) => await named(site, { env: { HTTPS_PROXY: "http://[bad" } }),
    kubectlSays: /no such host/,
    fails: { reason: "ProxyInvalid", says: /HTTPS_PROXY/ },
  },
  {
    name: "HTTPS_PROXY, and a server on this machine",
    given: async (site) => ({ kubeconfig: await config(site, { user }), env: { HTTPS_PROXY: "http://127.0.0.1:1" } }),
    arrives: "Bearer t",
  },
  excepted("api.invalid", "api.invalid", false),
  excepted(".invalid", "api.invalid", false),
  excepted("invalid", "api.invalid", false),
  excepted("*", "api.invalid", false),
  excepted("x, api.invalid:PORT", "api.invalid", false),
  ...["pi.example", "api.example:1", ".other", "10.0.0.0/8", "*.api.example"].map((noProxy) => excepted(noProxy, "api.example", true)),
];
