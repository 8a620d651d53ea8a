import { Connection } from "../cluster/connection.ts";
import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import type { Flags } from "../model/flags.ts";
import { parseDuration } from "../model/units.ts";
import type { Call } from "./command.ts";

/** kubectl's connection flags as one typed request. Throws a usage error. */
export function connectionOptions(flags: Flags): ConnectionOptions {
  const timeout = flags.text("request-timeout") ?? "0";
  return {
    kubeconfig: flags.text("kubeconfig"),
    context: flags.text("context"),
    cluster: flags.text("cluster"),
    user: flags.text("user"),
    namespace: flags.text("namespace"),
    server: flags.text("server"),
    token: flags.text("token"),
    as: flags.text("as"),
    asGroups: flags.list("as-group"),
    asUid: flags.text("as-uid"),
    certificateAuthority: flags.text("certificate-authority"),
    clientCertificate: flags.text("client-certificate"),
    clientKey: flags.text("client-key"),
    insecure: flags.on("insecure-skip-tls-verify"),
    tlsServerName: flags.text("tls-server-name"),
    // As kubectl: a bare number means seconds.
    requestTimeoutMs: /^\d+$/.test(timeout) ? Number(timeout) * 1000 : parseDuration(timeout, "--request-timeout"),
  };
}

/** The cluster that the flags name; closed at the end of the block that uses it. */
export async function connect(call: Call): Promise<Connection> {
  return await Connection.open(connectionOptions(call.flags), call);
}
