import { readFile } from "node:fs/promises";
import type https from "node:https";
import type { Authenticator } from "@kubernetes/client-node/dist/auth.js";
import type { User } from "@kubernetes/client-node/dist/config_types.js";

const NAME = "kubectl-checkpoint-token-file";
/** As client-go: projected tokens are renewed on disk well before they expire. */
const REREAD_MS = 60_000;

/** A token that is kept in a file, as in a pod: read again every minute. */
export class TokenFile implements Authenticator {
  #token = "";
  #readAt = -Infinity;

  static provider(file: unknown): object {
    return { name: NAME, config: { file } };
  }

  isAuthProvider(user: User): boolean {
    return (user.authProvider as { name?: string } | null)?.name === NAME;
  }

  async applyAuthentication(user: User, options: https.RequestOptions): Promise<void> {
    if (performance.now() - this.#readAt > REREAD_MS) {
      const { config } = user.authProvider as { config: { file: string } };
      this.#token = (await readFile(config.file, "utf8")).trim();
      this.#readAt = performance.now();
    }
    Object.assign((options.headers ??= {}), { Authorization: `Bearer ${this.#token}` });
  }
}
