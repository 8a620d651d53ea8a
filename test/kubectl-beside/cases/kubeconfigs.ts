// Which kubeconfig, and how it is written.
import type { Site } from "../site.ts";
import type { Case } from "../table.ts";
import { config } from "./kubeconfig.ts";

async function text(site: Site, token = "t"): Promise<string> {
  const { url } = await site.api();
  const ca = site.pki.data("ca.crt");
  return [
    "apiVersion: v1",
    "kind: Config",
    "current-context: x",
    "clusters:",
    `- {name: c, cluster: {server: "${url}", certificate-authority-data: ${ca}}}`,
    "users:",
    `- {name: u, user: {token: ${token}}}`,
    "contexts:",
    "- {name: x, context: {cluster: c, user: u}}",
    "",
  ].join("\n");
}

function written(name: string, as: (text: string) => string | Buffer, arrives: string | RegExp = "Bearer t"): Case {
  return { name: `kubeconfig: ${name}`, given: async (site) => ({ kubeconfig: as(await text(site)) }), arrives };
}

function utf16(text: string, bigEndian: boolean): Buffer {
  const bytes = Buffer.from(`\uFEFF${text}`, "utf16le");
  return bigEndian ? bytes.swap16() : bytes;
}

export const KUBECONFIGS: readonly Case[] = [
  written("YAML", (yaml) => yaml),
  written("with CRLF", (yaml) => yaml.replaceAll("\n", "\r\n")),
  written("UTF-8 with BOM", (yaml) => `\uFEFF${yaml}`),
  written("UTF-16 with BOM, as PowerShell's > writes it", (yaml) => utf16(yaml, false)),
  written("UTF-16, big endian", (yaml) => utf16(yaml, true)),
  written("a duplicated key: the last", (yaml) => yaml.replace("token: t", "token: first, token: t")),
  written("a duplicated key at the top", (yaml) => `current-context: nothing\n${yaml}`),
  written("anchors", (yaml) =>
    yaml.replace("user: {token: t}", "user: &a {token: t}").replace("contexts:", "- {name: w, user: *a}\ncontexts:"),
  ),
  written("fields that nobody knows", (yaml) => `${yaml}preferences: {}\nextensions: []\nnovelty: 1\n`),
  written("no kind and no version", (yaml) => yaml.replace(/^apiVersion.*\nkind.*\n/, "")),
  written("a document's marks", (yaml) => `---\n${yaml}`),
  {
    name: "kubeconfig: a kind of something else",
    given: async (site) => ({ kubeconfig: (await text(site)).replace("kind: Config", "kind: Pod") }),
    kubectlSays: /no kind "Pod" is registered|is not/,
    fails: { reason: "KubeconfigInvalid", says: /Pod/ },
  },
  {
    name: "kubeconfig: a version of something else",
    given: async (site) => ({ kubeconfig: (await text(site)).replace("apiVersion: v1", "apiVersion: v9") }),
    kubectlSays: /no kind "Config" is registered for version "v9"|v9/,
    fails: { reason: "KubeconfigInvalid", says: /v9/ },
  },
  {
    name: "kubeconfig: a name twice",
    given: async (site) => ({ kubeconfig: (await text(site)).replace("contexts:", "- {name: u, user: {token: second}}\ncontexts:") }),
    kubectlSays: /duplicate name "u"/,
    fails: { reason: "KubeconfigInvalid", says: /"u"/ },
  },
  {
    name: "kubeconfig: not YAML",
    given: () => ({ kubeconfig: "a: [" }),
    kubectlSays: /error loading config file/,
    fails: { reason: "KubeconfigInvalid", says: /HERE\/config/ },
  },
  {
    name: "kubeconfig: clusters that are no list",
    given: () => ({ kubeconfig: "clusters: {c: 1}" }),
    kubectlSays: /cannot unmarshal|error loading/,
    fails: { reason: "KubeconfigInvalid", says: /clusters/ },
  },
  {
    name: "KUBECONFIG: several, the first to name something wins",
    given: async (site) => ({
      files: {
        "first/config": JSON.stringify({ "current-context": "x", users: [{ name: "u", user: { token: "first" } }] }),
        "second/config": JSON.stringify({ ...(await config(site, { user: { token: "second" } })), "current-context": "other" }),
      },
      env: { KUBECONFIG: "HERE/none:HERE/first/config:HERE/second/config" },
    }),
    arrives: "Bearer first",
  },
  {
    name: "KUBECONFIG: parts of one user in two files",
    given: async (site) => ({
      files: {
        "first/config": JSON.stringify({ users: [{ name: "u", user: { token: "first" } }] }),
        "second/config": JSON.stringify(await config(site, { user: { as: "ann", token: "second" } })),
      },
      env: { KUBECONFIG: "HERE/first/config:HERE/second/config" },
    }),
    arrives: /Bearer first$/,
  },
  {
    name: "KUBECONFIG: the same file twice",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t" } }), env: { KUBECONFIG: "HERE/config:HERE/config" } }),
    arrives: "Bearer t",
  },
  {
    name: "KUBECONFIG: empty entries",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t" } }), env: { KUBECONFIG: ":HERE/config::" } }),
    arrives: "Bearer t",
  },
  {
    name: "KUBECONFIG: empty, and ~/.kube/config",
    given: async (site) => ({
      files: { ".kube/config": JSON.stringify(await config(site, { user: { token: "home" } })) },
      env: { KUBECONFIG: "" },
    }),
    arrives: "Bearer home",
  },
  {
    name: "KUBECONFIG: only files that are not there",
    given: async (site) => ({
      files: { ".kube/config": JSON.stringify(await config(site, { user: { token: "home" } })) },
      env: { KUBECONFIG: "HERE/none" },
    }),
    kubectlSays: /localhost:8080/,
    fails: { reason: "NoKubeconfig", says: /HERE\/none/ },
  },
  {
    name: "--kubeconfig over KUBECONFIG",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { token: "env" } }),
      files: { flag: JSON.stringify(await config(site, { user: { token: "flag" } })) },
      args: ["--kubeconfig", "HERE/flag"],
    }),
    arrives: "Bearer flag",
  },
  {
    name: "--kubeconfig that is not there",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "env" } }), args: ["--kubeconfig", "HERE/none"] }),
    kubectlSays: /HERE\/none: no such file/,
    fails: { reason: "KubeconfigInvalid", says: /HERE\/none/ },
  },
  {
    name: "no current context",
    given: async (site) => ({ kubeconfig: { ...(await config(site, { user: { token: "t" } })), "current-context": "" } }),
    kubectlSays: /localhost:8080/,
    fails: { reason: "NoSuchContext", says: /no current context/ },
  },
  {
    name: "a current context that is not there",
    given: async (site) => ({ kubeconfig: { ...(await config(site, { user: { token: "t" } })), "current-context": "gone" } }),
    kubectlSays: /context was not found for specified context: gone/,
    fails: { reason: "NoSuchContext", says: /"gone"/ },
  },
  {
    name: "a current context that is not there, and --cluster with --user",
    given: async (site) => ({
      kubeconfig: { ...(await config(site, { user: { token: "t" } })), "current-context": "gone" },
      args: ["--cluster", "c", "--user", "u"],
    }),
    kubectlSays: /context was not found for specified context: gone/,
    fails: { reason: "NoSuchContext", says: /"gone"/ },
  },
  {
    name: "a context whose cluster is not there",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t" }, context: { cluster: "gone" } }) }),
    kubectlSays: /localhost:8080/,
    fails: { reason: "NoSuchContext", says: /"gone"/ },
  },
  {
    name: "a context whose cluster is not there, and --server",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { token: "t" }, context: { cluster: "gone" } }),
      args: ["--server", (await site.api()).url, "--insecure-skip-tls-verify"],
    }),
    arrives: "Bearer t",
  },
  {
    name: "a cluster without a server",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t" }, cluster: { server: "" } }) }),
    kubectlSays: /localhost:8080|no server found/,
    fails: { reason: "NoSuchContext", says: /server/ },
  },
  {
    name: "a server that is no address",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t" }, server: "https://[bad" }) }),
    kubectlSays: /parse|host must be a URL|invalid/,
    fails: { reason: "KubeconfigInvalid", says: /\[bad/ },
  },
];
