// Flags over kubeconfigs, empty ones above all: scripts with unset variables give them.
import type { Site } from "../site.ts";
import type { Case, Given } from "../table.ts";
import { certificateOf, config } from "./kubeconfig.ts";

/** Two of each: main and alice's token, other and bob's. */
async function two(site: Site, args: readonly string[]): Promise<Given> {
  const { url } = await site.api("other");
  const ca = site.pki.data("ca.crt");
  const one = await config(site, {
    user: { token: "alice" },
    context: { namespace: "web" },
    cluster: { "tls-server-name": "api.example" },
  });
  return {
    kubeconfig: {
      ...one,
      clusters: [...(one["clusters"] as object[]), { name: "d", cluster: { server: url, "certificate-authority-data": ca } }],
      users: [...(one["users"] as object[]), { name: "v", user: { token: "bob" } }],
      contexts: [...(one["contexts"] as object[]), { name: "y", context: { cluster: "d", user: "v" } }],
    },
    args,
  };
}

function flags(name: string, args: readonly string[], arrives: string | RegExp): Case {
  return { name: `flags: ${name}`, given: async (site) => await two(site, args), arrives };
}

export const FLAGS: readonly Case[] = [
  flags("none", [], /^main: GET \/api\/v1\/namespaces\/web\/pods\/nginx .*Bearer alice/),
  flags("--context", ["--context", "y"], /^other: GET \/api\/v1\/namespaces\/default\/pods\/nginx .*Bearer bob/),
  flags("--cluster", ["--cluster", "d"], /^other: .*\/web\/.*Bearer alice/),
  flags("--user", ["--user", "v"], /^main: .*Bearer bob/),
  flags("--namespace", ["-n", "ns"], /^main: .*\/ns\/.*Bearer alice/),
  flags("--token", ["--token", "flag"], /Bearer flag/),
  flags("an empty --context", ["--context="], /^main: .*Bearer alice/),
  flags("an empty --cluster and --user", ["--cluster=", "--user="], /^main: .*Bearer alice/),
  flags("an empty namespace", ["-n", ""], /^main: .*\/web\//),
  flags("an empty token", ["--token="], /Bearer alice/),
  flags("an empty server", ["--server="], /^main: .*sni=api\.example/),
  flags("an empty certificate authority", ["--certificate-authority="], /^main: .*Bearer alice/),
  flags("an empty certificate and key", ["--client-certificate=", "--client-key="], /^main: .*Bearer alice/),
  flags("an empty TLS server name", ["--tls-server-name="], /^main: .*sni=api\.example/),
  flags("an empty kubeconfig", ["--kubeconfig="], /^main: .*Bearer alice/),
  flags("--insecure-skip-tls-verify=false", ["--insecure-skip-tls-verify=false"], /^main: .*Bearer alice/),
  flags("--tls-server-name", ["--tls-server-name", "other.example"], /sni=other\.example/),
  flags("a request timeout in seconds", ["--request-timeout", "20"], /Bearer alice/),
  flags("a request timeout with a fraction", ["--request-timeout", "16.1s"], /Bearer alice/),
  flags("a request timeout beyond what timers hold", ["--request-timeout", "2000000h"], /Bearer alice/),
  flags("a request timeout of zero", ["--request-timeout", "0s"], /Bearer alice/),
  {
    name: "flags: an empty request timeout",
    given: async (site) => await two(site, ["--request-timeout="]),
    arrives: /Bearer alice/,
  },
  {
    name: "flags: another server has another name",
    given: async (site) => await two(site, ["--server", (await site.api("other")).url]),
    arrives: /^other: .*sni=none .*Bearer alice/,
  },
  {
    name: "flags: a context that is not there",
    given: async (site) => await two(site, ["--context", "z"]),
    kubectlSays: /context was not found for specified context: z/,
    fails: { reason: "NoSuchContext", says: /"z"/ },
  },
  {
    name: "flags: a cluster that is not there",
    given: async (site) => await two(site, ["--cluster", "z"]),
    kubectlSays: /no server found for cluster "z"/,
    fails: { reason: "NoSuchContext", says: /"z"/ },
  },
  {
    name: "flags: a user who is not there",
    given: async (site) => await two(site, ["--user", "z"]),
    kubectlSays: /auth info "z" does not exist/,
    fails: { reason: "NoSuchContext", says: /"z"/ },
  },
  {
    name: "flags: --token over a token file",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { tokenFile: "HERE/token" } }),
      files: { token: "from-file" },
      args: ["--token", "flag"],
    }),
    better: "kubectl takes the file, and whoever gives --token means the token",
    arrives: "authorization=Bearer flag",
  },
  {
    name: "flags: --token over a password",
    given: async (site) => ({ kubeconfig: await config(site, { user: { username: "u", password: "p" } }), args: ["--token", "flag"] }),
    kubectlSays: /more than one authentication method found/,
    fails: { reason: "KubeconfigInvalid", says: /token and a password/ },
  },
  {
    name: "flags: --token beside a certificate",
    given: async (site) => ({ kubeconfig: await config(site, { user: certificateOf(site, "alice") }), args: ["--token", "flag"] }),
    arrives: "certificate=alice authorization=Bearer flag",
  },
  {
    name: "flags: --client-certificate and --client-key over data",
    given: async (site) => ({
      kubeconfig: await config(site, { user: certificateOf(site, "alice") }),
      files: { "b.crt": site.pki.read("bob.crt"), "b.key": site.pki.read("bob.key") },
      args: ["--client-certificate", "HERE/b.crt", "--client-key", "HERE/b.key"],
    }),
    arrives: "certificate=bob",
  },
  {
    name: "flags: --client-certificate alone over data",
    given: async (site) => ({
      kubeconfig: await config(site, { user: certificateOf(site, "alice") }),
      files: { "b.crt": site.pki.read("bob.crt") },
      args: ["--client-certificate", "HERE/b.crt"],
    }),
    kubectlSays: /private key does not match public key/,
    fails: { reason: "CredentialsUnusable", says: /client-key/ },
  },
  {
    name: "flags: all of them and no kubeconfig",
    given: async (site) => ({
      files: { "ca.crt": site.pki.read("ca.crt"), "b.crt": site.pki.read("bob.crt"), "b.key": site.pki.read("bob.key") },
      args: [
        "-s",
        (await site.api()).url,
        "--certificate-authority",
        "HERE/ca.crt",
        "--client-certificate",
        "HERE/b.crt",
        "--client-key",
        "HERE/b.key",
      ],
    }),
    arrives: "certificate=bob",
  },
  {
    name: "flags: a server without a scheme",
    given: async (site) => ({ args: ["-s", `127.0.0.1:${(await site.http()).port}`, "--token", "t"] }),
    arrives: /^plain: .* no TLS$/,
  },
  {
    name: "flags: a server without a scheme, and a certificate authority",
    given: async (site) => ({
      files: { "ca.crt": site.pki.read("ca.crt") },
      args: ["-s", `127.0.0.1:${(await site.http()).port}`, "--certificate-authority", "HERE/ca.crt", "--token", "t"],
    }),
    arrives: /^plain: .* no TLS$/,
  },
  {
    name: "a server without a scheme in the kubeconfig, not verified",
    given: async (site) => ({
      kubeconfig: await config(site, {
        user: { token: "t" },
        server: `127.0.0.1:${(await site.http()).port}`,
        cluster: { "insecure-skip-tls-verify": true },
      }),
    }),
    arrives: /^plain: .* no TLS$/,
  },
];
