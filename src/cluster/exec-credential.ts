import { spawn } from "node:child_process";
import type https from "node:https";
import { text } from "node:stream/consumers";
import { isatty } from "node:tty";
import type { Authenticator } from "@kubernetes/client-node/dist/auth.js";
import type { User } from "@kubernetes/client-node/dist/config_types.js";
import { UserError } from "../model/error.ts";
import type { Entry } from "./kubeconfig/options.ts";

const NAME = "kubectl-checkpoint-exec";

interface ExecConfig {
  readonly apiVersion?: string;
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: readonly { name: string; value: string }[] | null;
  readonly installHint?: string;
  readonly interactiveMode?: "Never" | "IfAvailable" | "Always";
  readonly provideClusterInfo?: boolean;
}

interface Status {
  readonly token?: string;
  readonly clientCertificateData?: string;
  readonly clientKeyData?: string;
  readonly expirationTimestamp?: string;
}

/**
 * Exec credential plugins (client.authentication.k8s.io): as kubectl, and unlike client-node, they get KUBERNETES_EXEC_INFO
 * and the terminal, so that a login can be asked for.
 */
export class ExecCredential implements Authenticator {
  readonly #cluster: Entry;
  readonly #env: NodeJS.ProcessEnv;
  #status: Status | undefined;

  constructor(cluster: Entry, env: NodeJS.ProcessEnv) {
    this.#cluster = cluster;
    this.#env = env;
  }

  static provider(exec: unknown): object {
    return { name: NAME, config: { plugin: exec } };
  }

  isAuthProvider(user: User): boolean {
    return (user.authProvider as { name?: string } | null)?.name === NAME;
  }

  async applyAuthentication(user: User, options: https.RequestOptions): Promise<void> {
    if (this.#status === undefined || expired(this.#status)) {
      const { config } = user.authProvider as { config: { plugin: ExecConfig } };
      this.#status = await this.#run(config.plugin);
    }
    const { token, clientCertificateData, clientKeyData } = this.#status;
    if (clientCertificateData !== undefined) options.cert = clientCertificateData;
    if (clientKeyData !== undefined) options.key = clientKeyData;
    if (token !== undefined) Object.assign((options.headers ??= {}), { Authorization: `Bearer ${token}` });
  }

  async #run(plugin: ExecConfig): Promise<Status> {
    const failed = (why: string, cause?: unknown): UserError =>
      new UserError({
        reason: "ExecPluginFailed",
        message: `the credential plugin ${plugin.command} failed`,
        why,
        fix: plugin.installHint,
        cause,
      });
    const interactive = plugin.interactiveMode !== "Never" && isatty(0);
    const info = {
      apiVersion: plugin.apiVersion ?? "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      spec: { interactive, ...(plugin.provideClusterInfo === true ? { cluster: this.#cluster } : {}) },
    };
    const added = Object.fromEntries((plugin.env ?? []).map(({ name, value }) => [name, value]));
    const child = spawn(plugin.command, plugin.args ?? [], {
      env: { ...this.#env, ...added, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
      stdio: [interactive ? "inherit" : "ignore", "pipe", "inherit"],
    });
    const ended = new Promise<number | null>((done, fail) => {
      child.on("error", fail);
      child.on("close", done);
    });
    try {
      const [output, code] = await Promise.all([text(child.stdout), ended]);
      if (code !== 0) throw failed(`it ended with exit status ${code}`);
      const { status } = JSON.parse(output) as { status?: Status };
      if (status === undefined) throw failed("its answer has no status");
      return status;
    } catch (error) {
      throw error instanceof UserError ? error : failed((error as Error).message, error);
    }
  }
}

function expired({ expirationTimestamp }: Status): boolean {
  return expirationTimestamp !== undefined && Date.parse(expirationTimestamp) <= Date.now();
}
