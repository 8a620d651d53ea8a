import { Connection } from "../../cluster/connection.ts";
import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import type { FlowContext } from "../../flows/context.ts";
import { parseDuration } from "../../model/units.ts";
import { group, list, on, parsed, text as anyText, type Values } from "./flags.ts";
import type { Call } from "./verb.ts";

/** As kubectl: an empty value, as scripts with unset variables give it, is as if not given. */
function text(description: Parameters<typeof anyText>[0]): ReturnType<typeof anyText> {
  const flag = anyText(description);
  return { ...flag, parse: (given, name) => flag.parse(given, name) || undefined };
}

/** kubectl's own flags, same names and meaning. */
export const CLUSTER = group("Cluster", {
  kubeconfig: text({ value: "FILE", help: "kubeconfig file (default: KUBECONFIG or ~/.kube/config)" }),
  context: text({ value: "NAME", help: "context in the kubeconfig" }),
  cluster: text({ value: "NAME", help: "cluster in the kubeconfig" }),
  user: text({ value: "NAME", help: "user in the kubeconfig" }),
  namespace: text({ short: "n", value: "NAME", help: "namespace" }),
  server: text({ short: "s", value: "URL", help: "address of the API server" }),
  token: text({ value: "TOKEN", help: "bearer token for authentication" }),
  as: text({ value: "USER", help: "user to impersonate" }),
  "as-group": list({ value: "GROUP", help: "group to impersonate, repeatable" }),
  "as-uid": text({ value: "UID", help: "UID to impersonate" }),
  "certificate-authority": text({ value: "FILE", help: "CA certificate of the API server" }),
  "client-certificate": text({ value: "FILE", help: "client certificate" }),
  "client-key": text({ value: "FILE", help: "client key" }),
  "insecure-skip-tls-verify": on("do not verify the API server's certificate (insecure)"),
  "tls-server-name": text({ value: "NAME", help: "server name to verify in the API server's certificate" }),
  "request-timeout": parsed(requestTimeout, {
    value: "D",
    help: "time limit of a single request, 0 for none (for checkpoints: --timeout)",
  }),
});

/** As kubectl: a bare number means seconds. */
function requestTimeout(value: string, name: string): number {
  if (value === "") return 0;
  return /^\d+$/.test(value) ? Number(value) * 1000 : parseDuration(value, name);
}

export function connectionOptions(flags: Values<typeof CLUSTER>): ConnectionOptions {
  return {
    kubeconfig: flags.kubeconfig,
    context: flags.context,
    cluster: flags.cluster,
    user: flags.user,
    namespace: flags.namespace,
    server: flags.server,
    token: flags.token,
    as: flags.as,
    asGroups: flags["as-group"],
    asUid: flags["as-uid"],
    certificateAuthority: flags["certificate-authority"],
    clientCertificate: flags["client-certificate"],
    clientKey: flags["client-key"],
    insecure: flags["insecure-skip-tls-verify"],
    tlsServerName: flags["tls-server-name"],
    requestTimeoutMs: flags["request-timeout"] ?? 0,
  };
}

/** A call with the cluster that its flags name. */
export async function connected(options: ConnectionOptions, call: Call): Promise<Call & FlowContext> {
  return { ...call, connection: await Connection.open(options, call) };
}

/** The words that lead to the same cluster again. A token is a secret: its value is left to whoever pastes them. */
export function clusterWords(options: ConnectionOptions): string[] {
  const { insecure, requestTimeoutMs, asGroups } = options;
  const given = (flag: keyof typeof CLUSTER, value: string | undefined): string[] => (value === undefined ? [] : [`--${flag}`, value]);
  return [
    given("kubeconfig", options.kubeconfig),
    given("context", options.context),
    given("cluster", options.cluster),
    given("user", options.user),
    given("namespace", options.namespace),
    given("server", options.server),
    given("token", options.token === undefined ? undefined : "TOKEN"),
    given("as", options.as),
    ...asGroups.map((group) => given("as-group", group)),
    given("as-uid", options.asUid),
    given("certificate-authority", options.certificateAuthority),
    given("client-certificate", options.clientCertificate),
    given("client-key", options.clientKey),
    insecure ? ["--insecure-skip-tls-verify"] : [],
    given("tls-server-name", options.tlsServerName),
    given("request-timeout", requestTimeoutMs === 0 ? undefined : `${requestTimeoutMs}ms`),
  ].flat();
}
