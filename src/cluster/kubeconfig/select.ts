import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { UserError } from "../../model/error.ts";
import { command, say, type Phrase } from "../../model/phrase.ts";
import { kubeconfigFiles, merged, readKubeconfig, type Kubeconfig, type Named } from "./files.ts";
import type { ConnectionOptions, Entry, Selection } from "./options.ts";
import { ensureUsable } from "./usable.ts";

/**
 * What kubectl would talk with: --kubeconfig, else the files of KUBECONFIG merged (the first to name something wins),
 * else ~/.kube/config, else the service account of the pod that this runs in; then the flags on top.
 * Throws a UserError (NoKubeconfig, KubeconfigInvalid, NoSuchContext, CredentialsUnusable).
 */
export async function selectFromKubeconfig(options: ConnectionOptions, env: NodeJS.ProcessEnv): Promise<Selection> {
  const { files, required } = kubeconfigFiles(options, env);
  const parts: Kubeconfig[] = [];
  for (const file of files) parts.push(await readKubeconfig(file, required));
  const config = merged(parts);
  if (config.clusters.length + config.users.length + config.contexts.length === 0 && !options.server) {
    const inside = await inCluster(env);
    if (inside !== undefined)
      return { ...inside, namespace: options.namespace || inside.namespace, user: withUserFlags(inside.user, options) };
    const several = files.length > 1;
    throw new UserError({
      reason: "NoKubeconfig",
      message: "no kubeconfig found",
      why: say`${files.join(", ")} ${say`${several ? "do" : "does"} not exist or ${several ? "are" : "is"} empty`}`,
      fix: "set KUBECONFIG, or use --kubeconfig FILE",
    });
  }
  const selection = select(config, options);
  ensureUsable(selection);
  return selection;
}

function select(config: Kubeconfig, options: ConnectionOptions): Selection {
  const contextName = options.context || config.currentContext;
  const context = find(config.contexts, contextName)?.value;
  if (contextName !== "" && context === undefined) {
    const current = say`context "${contextName}", the current-context, not found in the kubeconfig`;
    throw missing("context", contextName, config.contexts, options.context ? undefined : current);
  }
  const clusterName = options.cluster || text(context?.["cluster"]) || "";
  const userName = options.user || text(context?.["user"]) || "";
  const known = find(config.clusters, clusterName)?.value;
  const user = find(config.users, userName);
  if (options.cluster && known === undefined) throw missing("cluster", clusterName, config.clusters);
  // As kubectl: flags may say all that the user would.
  const named = options.user || !(options.token || options.clientCertificate);
  if (userName !== "" && user === undefined && named) {
    throw missing("user", userName, config.users, namedBy(contextName, "user", userName, options.user));
  }
  const cluster = withClusterFlags(known ?? {}, options);
  const server = text(cluster["server"]);
  if (server === undefined) {
    if (clusterName !== "" && known === undefined) {
      throw missing("cluster", clusterName, config.clusters, namedBy(contextName, "cluster", clusterName, undefined));
    }
    throw new UserError({
      reason: "NoSuchContext",
      message:
        contextName === ""
          ? "the kubeconfig has no current context"
          : say`the cluster "${clusterName}" of the context "${contextName}" has no server`,
      fix: say`${command`kubectl config get-contexts`}, then: ${command`kubectl config use-context`} NAME, or use --context NAME`,
    });
  }
  return {
    contextName,
    clusterName,
    userName,
    namespace: options.namespace || text(context?.["namespace"]) || "default",
    cluster: { ...cluster, server },
    user: withUserFlags(user?.value ?? {}, options),
    userPlace: user && { file: user.file, user: userName },
  };
}

function find(entries: readonly Named[], name: string): Named | undefined {
  return entries.find((one) => one.name === name);
}

function namedBy(contextName: string, kind: string, name: string, flag: string | undefined): Phrase | undefined {
  return flag ? undefined : say`${kind} "${name}" of the context "${contextName}" not found in the kubeconfig`;
}

function missing(
  kind: string,
  name: string,
  known: readonly Named[],
  message: Phrase = say`${kind} "${name}" not found in the kubeconfig`,
): UserError {
  const names = known.map((one) => one.name).join(", ");
  return new UserError({ reason: "NoSuchContext", message, fix: names === "" ? undefined : say`use one of: ${names}` });
}

/** As client-go lays flags over a cluster: another server drops the server name, another CA or --insecure drops the CA. */
function withClusterFlags(cluster: Entry, options: ConnectionOptions): Entry {
  const { server, tlsServerName, certificateAuthority, insecure } = options;
  const result: Record<string, unknown> = { ...cluster };
  if (server) {
    result["server"] = server;
    delete result["tls-server-name"];
  }
  if (tlsServerName) result["tls-server-name"] = tlsServerName;
  if (certificateAuthority || insecure) {
    delete result["certificate-authority-data"];
    delete result["certificate-authority"];
    result["insecure-skip-tls-verify"] = insecure;
    if (certificateAuthority) result["certificate-authority"] = resolve(certificateAuthority);
  }
  return result;
}

function withUserFlags(user: Entry, options: ConnectionOptions): Entry {
  const { token, clientCertificate, clientKey, as, asUid, asGroups } = options;
  const result: Record<string, unknown> = { ...user };
  if (token) {
    result["token"] = token;
    delete result["tokenFile"];
  }
  if (clientCertificate) {
    result["client-certificate"] = resolve(clientCertificate);
    delete result["client-certificate-data"];
  }
  if (clientKey) {
    result["client-key"] = resolve(clientKey);
    delete result["client-key-data"];
  }
  if (as) result["as"] = as;
  if (asUid) result["as-uid"] = asUid;
  if (asGroups.length > 0) result["as-groups"] = asGroups;
  return result;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The service account of the pod that this runs in; undefined outside of one. */
async function inCluster(env: NodeJS.ProcessEnv): Promise<Selection | undefined> {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  const namespace = await readFile(`${SERVICE_ACCOUNT}/namespace`, "utf8").catch(() => undefined);
  if (host === undefined || port === undefined || namespace === undefined) return undefined;
  const cluster = {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    "certificate-authority": `${SERVICE_ACCOUNT}/ca.crt`,
  };
  return {
    contextName: "in-cluster",
    clusterName: "in-cluster",
    userName: "service account",
    namespace: namespace.trim(),
    cluster,
    user: { tokenFile: `${SERVICE_ACCOUNT}/token` },
  };
}
