import { Connection } from "../../cluster/connection.ts";
import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import type { FlowContext } from "../../flows/context.ts";
import { parseDuration } from "../../model/units.ts";
import { group, list, on, parsed, text, type Values } from "./flags.ts";
import type { Call } from "./verb.ts";

/** kubectl's own flags, same names and meaning. */
export const CLUSTER = group("Cluster options (as kubectl's own)", {
  kubeconfig: text({ value: "FILE", help: "kubeconfig file to use instead of KUBECONFIG or ~/.kube/config" }),
  context: text({ value: "NAME", help: "context of the kubeconfig to use" }),
  cluster: text({ value: "NAME", help: "cluster of the kubeconfig to use" }),
  user: text({ value: "NAME", help: "user of the kubeconfig to use" }),
  namespace: text({ short: "n", value: "NAME", help: "namespace of the request" }),
  server: text({ short: "s", value: "URL", help: "address of the API server" }),
  token: text({ value: "TOKEN", help: "bearer token for authentication" }),
  as: text({ value: "USER", help: "user to impersonate" }),
  "as-group": list({ value: "GROUP", help: "group to impersonate, may be repeated" }),
  "as-uid": text({ value: "UID", help: "UID to impersonate" }),
  "certificate-authority": text({ value: "FILE", help: "certificate authority of the API server" }),
  "client-certificate": text({ value: "FILE", help: "client certificate for TLS" }),
  "client-key": text({ value: "FILE", help: "client key for TLS" }),
  "insecure-skip-tls-verify": on("do not check the API server's certificate: insecure"),
  "tls-server-name": text({ value: "NAME", help: "server name to check the certificate against" }),
  "request-timeout": parsed(requestTimeout, {
    value: "D",
    help: "give up on a single request after this time, 0 for never (the checkpoint itself: --timeout)",
  }),
});

/** As kubectl: a bare number means seconds. */
function requestTimeout(value: string, name: string): number {
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
