import { resolve } from "node:path";
import { UserError } from "../../model/error.ts";
import { kubeconfigFiles, merged, readKubeconfig, type Kubeconfig, type Named } from "./files.ts";
import { inCluster } from "./incluster.ts";
import type { ConnectionOptions, Entry, Selection } from "./options.ts";

/**
 * What kubectl would talk with: --kubeconfig, else the files of KUBECONFIG merged (the first to name something wins),
 * else ~/.kube/config, else the service account of the pod that this runs in; then the flags on top.
 * Throws a UserError (NoKubeconfig, KubeconfigInvalid, NoSuchContext).
 */
export async function selectFromKubeconfig(options: ConnectionOptions, env: NodeJS.ProcessEnv): Promise<Selection> {
  const { files, required } = kubeconfigFiles(options, env);
  const parts: Kubeconfig[] = [];
  for (const file of files) parts.push(await readKubeconfig(file, required));
  const config = merged(parts);
  if (config.clusters.length + config.users.length + config.contexts.length === 0 && options.server === undefined) {
    const inside = await inCluster(env);
    if (inside !== undefined) return { ...inside, namespace: options.namespace ?? inside.namespace };
    throw new UserError({
      reason: "NoKubeconfig",
      message: "there is no kubeconfig",
      why: `${files.join(", ")} ${files.length === 1 ? "does" : "do"} not exist or ${files.length === 1 ? "is" : "are"} empty`,
      fix: "set KUBECONFIG, or give --kubeconfig FILE",
    });
  }
  return select(config, options);
}

function select(config: Kubeconfig, options: ConnectionOptions): Selection {
  const contextName = options.context ?? config.currentContext;
  const context = config.contexts.find((one) => one.name === contextName)?.value;
  if (options.context !== undefined && context === undefined) {
    throw missing("context", options.context, config.contexts);
  }
  const clusterName = options.cluster ?? text(context?.["cluster"]) ?? "";
  const userName = options.user ?? text(context?.["user"]) ?? "";
  const known = config.clusters.find((one) => one.name === clusterName)?.value;
  const user = config.users.find((one) => one.name === userName)?.value;
  if (options.cluster !== undefined && known === undefined) throw missing("cluster", options.cluster, config.clusters);
  if (options.user !== undefined && user === undefined) throw missing("user", options.user, config.users);
  const cluster = withClusterFlags(known ?? {}, options);
  const server = text(cluster["server"]);
  if (server === undefined) {
    throw new UserError({
      reason: "NoSuchContext",
      message: contextName === "" ? "the kubeconfig has no current context" : `the context "${contextName}" has no cluster with a server`,
      fix: "kubectl config get-contexts, then: kubectl config use-context NAME, or give --context NAME",
    });
  }
  const namespace = options.namespace ?? text(context?.["namespace"]) ?? "default";
  return { contextName, clusterName, userName, namespace, cluster: { ...cluster, server }, user: withUserFlags(user ?? {}, options) };
}

function missing(kind: string, name: string, known: readonly Named[]): UserError {
  const names = known.map((one) => one.name).join(", ");
  return new UserError({
    reason: "NoSuchContext",
    message: `the kubeconfig has no ${kind} "${name}"`,
    fix: `--${kind} takes one of: ${names || "none is there"}`,
  });
}

/** As client-go lays flags over a cluster: another server drops the server name, another CA or --insecure drops the CA. */
function withClusterFlags(cluster: Entry, options: ConnectionOptions): Entry {
  const result: Record<string, unknown> = { ...cluster };
  if (options.server !== undefined) {
    result["server"] = options.server;
    delete result["tls-server-name"];
  }
  if (options.tlsServerName !== undefined) result["tls-server-name"] = options.tlsServerName;
  if (options.certificateAuthority !== undefined || options.insecure) {
    delete result["certificate-authority-data"];
    delete result["certificate-authority"];
    result["insecure-skip-tls-verify"] = options.insecure;
    if (options.certificateAuthority !== undefined) result["certificate-authority"] = resolve(options.certificateAuthority);
  }
  return result;
}

function withUserFlags(user: Entry, options: ConnectionOptions): Entry {
  const result: Record<string, unknown> = { ...user };
  if (options.token !== undefined) {
    result["token"] = options.token;
    delete result["tokenFile"];
  }
  if (options.clientCertificate !== undefined) {
    result["client-certificate"] = resolve(options.clientCertificate);
    delete result["client-certificate-data"];
  }
  if (options.clientKey !== undefined) {
    result["client-key"] = resolve(options.clientKey);
    delete result["client-key-data"];
  }
  if (options.as !== undefined || options.asUid !== undefined || options.asGroups.length > 0) {
    result["as"] = options.as;
    result["as-groups"] = options.asGroups;
    result["as-uid"] = options.asUid;
  }
  return result;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
