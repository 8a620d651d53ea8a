import type https from "node:https";
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import type { Cluster } from "@kubernetes/client-node/dist/config_types.js";
import { UserError } from "../model/error.ts";
import { ExecCredential } from "./exec-credential.ts";
import type { Entry, Selection } from "./kubeconfig/options.ts";
import { TokenFile } from "./token-file.ts";

export interface TlsOptions {
  readonly ca?: Buffer | string;
  readonly cert?: Buffer | string;
  readonly key?: Buffer | string;
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

/**
 * What the selected user authenticates with, through client-node: certificates, tokens, auth providers. What client-node
 * lacks is given to it as authenticators (exec plugins on a terminal, token files) or added here (impersonated groups and UID).
 */
export class Credentials {
  readonly #config: CapturingConfig;
  readonly #impersonation: Record<string, string | string[]>;

  constructor(selection: Selection, env: NodeJS.ProcessEnv) {
    this.#config = new CapturingConfig();
    this.#config.addAuthenticator(new TokenFile());
    this.#config.addAuthenticator(new ExecCredential(selection.cluster, env));
    this.#config.loadFromString(JSON.stringify(kubeconfigOf(selection)));
    withIssuerAsUrl(this.#config);
    this.#impersonation = impersonation(selection.user);
  }

  /** Headers of the next request, and the TLS options for a connection. Tokens are refreshed when they are due. Throws a UserError. */
  async next(): Promise<{ headers: Record<string, string | string[]>; tls: TlsOptions }> {
    const headers: Record<string, string | string[]> = {};
    try {
      await this.#config.applySecurityAuthentication({
        setHeaderParam: (name: string, value: string) => {
          // Impersonation is added below, with its groups.
          if (!name.startsWith("Impersonate-")) headers[name.toLowerCase()] = value.trim();
        },
        setDispatcher: () => undefined,
      } as unknown as Parameters<KubeConfig["applySecurityAuthentication"]>[0]);
    } catch (error) {
      if (error instanceof UserError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new UserError({
        reason: "CredentialsUnusable",
        message: "the credentials in the kubeconfig cannot be used",
        why,
        cause: error,
      });
    }
    return { headers: { ...headers, ...this.#impersonation }, tls: this.#config.tls };
  }
}

/** client-node makes dispatchers of its own, without our timeouts and not for plain http: only its TLS options are taken. */
class CapturingConfig extends KubeConfig {
  tls: TlsOptions = {};

  override createDispatcherOptions(_cluster: Cluster | null, options: https.AgentOptions): { type: "none" } {
    this.tls = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    return { type: "none" };
  }
}

/** client-node 2.0.1 hands an OIDC issuer on as text, but openid-client takes a URL only: an expired token would not be refreshed. */
function withIssuerAsUrl(config: KubeConfig): void {
  const provider = config.getCurrentUser()?.authProvider as { name?: string; config?: Record<string, unknown> } | undefined;
  const issuer = provider?.config?.["idp-issuer-url"];
  const url = typeof issuer === "string" ? URL.parse(issuer) : null;
  if (provider?.name === "oidc" && provider.config !== undefined && url !== null) provider.config["idp-issuer-url"] = url;
}

function kubeconfigOf({ cluster, user }: Selection): object {
  const { exec, tokenFile, ...rest } = user as Entry & { exec?: unknown; tokenFile?: unknown };
  // By other names, so that client-node leaves them to the authenticators added above.
  const provider = exec !== undefined ? ExecCredential.provider(exec) : tokenFile !== undefined ? TokenFile.provider(tokenFile) : undefined;
  return {
    clusters: [{ name: "cluster", cluster }],
    users: [{ name: "user", user: provider === undefined ? rest : { ...rest, "auth-provider": provider } }],
    contexts: [{ name: "context", context: { cluster: "cluster", user: "user" } }],
    "current-context": "context",
  };
}

function impersonation(user: Entry): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  if (typeof user["as"] === "string") headers["impersonate-user"] = user["as"];
  if (typeof user["as-uid"] === "string") headers["impersonate-uid"] = user["as-uid"];
  if (Array.isArray(user["as-groups"]) && user["as-groups"].length > 0) headers["impersonate-group"] = user["as-groups"].map(String);
  const extra = user["as-user-extra"];
  for (const [name, values] of Object.entries(typeof extra === "object" && extra !== null ? extra : {})) {
    headers[`impersonate-extra-${encodeURIComponent(name.toLowerCase())}`] = [values as unknown].flat().map(String);
  }
  if (Object.keys(headers).length > 0 && headers["impersonate-user"] === undefined) {
    throw new UserError({ reason: "Usage", message: "groups or a UID are impersonated without a user", fix: "add --as USER", exitCode: 2 });
  }
  return headers;
}
