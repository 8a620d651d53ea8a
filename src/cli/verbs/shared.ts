import type { FlagGroup, FlagSpec } from "./verb.ts";

const value = (name: string, placeholder: string, help: string): FlagSpec => ({ name, takes: "value", value: placeholder, help });

/** kubectl's own flags, same names and meaning. */
export const CLUSTER_FLAGS: FlagGroup = {
  title: "Cluster options (as kubectl's own)",
  flags: [
    value("kubeconfig", "FILE", "kubeconfig file to use instead of KUBECONFIG or ~/.kube/config"),
    value("context", "NAME", "context of the kubeconfig to use"),
    value("cluster", "NAME", "cluster of the kubeconfig to use"),
    value("user", "NAME", "user of the kubeconfig to use"),
    { ...value("namespace", "NAME", "namespace of the request"), short: "n" },
    { ...value("server", "URL", "address of the API server"), short: "s" },
    value("token", "TOKEN", "bearer token for authentication"),
    value("as", "USER", "user to impersonate"),
    { name: "as-group", takes: "values", value: "GROUP", help: "group to impersonate, may be repeated" },
    value("as-uid", "UID", "UID to impersonate"),
    value("certificate-authority", "FILE", "certificate authority of the API server"),
    value("client-certificate", "FILE", "client certificate for TLS"),
    value("client-key", "FILE", "client key for TLS"),
    { name: "insecure-skip-tls-verify", takes: "nothing", help: "do not check the API server's certificate: insecure" },
    value("tls-server-name", "NAME", "server name to check the certificate against"),
    value("request-timeout", "D", "give up on a single request after this time, 0 for never (the checkpoint itself: --timeout)"),
  ],
};

/** What every verb takes. */
export const COMMON_FLAGS: FlagGroup = {
  title: "Common options",
  flags: [
    {
      name: "color",
      takes: "value",
      value: "auto|always|never",
      choices: ["auto", "always", "never"],
      help: "colours (NO_COLOR is honoured)",
    },
    { name: "quiet", short: "q", takes: "nothing", help: "no progress, no hints" },
    { name: "yes", short: "y", takes: "nothing", help: "answer yes to this verb's questions" },
    { name: "no-input", takes: "nothing", help: "ask nothing: what is missing is an error" },
    { name: "v", short: "v", takes: "value", value: "LEVEL", help: "log level: 6 logs each request, 8 its headers, 9 stack traces" },
    { name: "help", short: "h", takes: "nothing", help: "help for this verb" },
  ],
};

export const ALL_NAMESPACES_FLAG: FlagSpec = { name: "all-namespaces", short: "A", takes: "nothing", help: "in all namespaces" };

/** -o for a verb that reports. */
export function outputFlag(...formats: readonly string[]): FlagSpec {
  return { name: "output", short: "o", takes: "value", value: formats.join("|"), choices: formats, help: "output format" };
}
