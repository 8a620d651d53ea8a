import { isDeepStrictEqual } from "node:util";
import type { Context } from "../../model/context.ts";
import { usageError, UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import type { CredentialKind } from "../answer.ts";
import type { Entry, Selection } from "../kubeconfig/options.ts";
import { type Part, type Source, sourceOf } from "./source.ts";
import { clientTls, serverTls, type TlsOptions } from "./tls.ts";

/** What a request is sent with. */
export interface Credential {
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly tls: TlsOptions;
  /** Another number: something of it has changed, so that connections are made anew. */
  readonly generation: number;
  readonly kind: CredentialKind;
}

/** As client-go looks again at certificates in files. */
const REREAD_MS = 60_000;

/**
 * Who a connection is to its server. All that has to be asked for (exec plugins, issuers, files) is asked for by one at a time, and
 * what it said is everybody's.
 */
export class Authentication {
  readonly #selection: Selection;
  readonly #encrypted: boolean;
  readonly #impersonation: Readonly<Record<string, string | string[]>>;
  readonly #context: Context;
  #turn: Promise<unknown> = Promise.resolve();
  #source: Promise<Source | undefined> | undefined;
  #files: { readonly server: TlsOptions; readonly client: TlsOptions; readonly readAt: number } | undefined;
  #current: Credential | undefined;

  constructor(selection: Selection, server: URL, context: Context) {
    this.#selection = selection;
    this.#encrypted = server.protocol === "https:";
    this.#context = context;
    this.#impersonation = impersonation(selection.user);
  }

  /** Throws a UserError. */
  async credential(): Promise<Credential> {
    return await this.#alone(async () => await this.#get(false));
  }

  /**
   * After a 401 to a credential of this generation: answers whether there is another one now. However many met it, what can be renewed
   * is renewed once.
   */
  async renew(generation: number): Promise<boolean> {
    return await this.#alone(async () => {
      if (this.#current === undefined || this.#current.generation > generation) return true;
      return (await this.#get(true)).generation > generation;
    });
  }

  async #get(refused: boolean): Promise<Credential> {
    const { server, client } = await this.#tls(refused);
    const source = await (this.#source ??= sourceOf(this.#selection, this.#encrypted, client.cert !== undefined, this.#context));
    const part: Part = (await source?.part(refused)) ?? {};
    const authorization = part.authorization === undefined ? {} : { authorization: part.authorization };
    const headers = { ...authorization, ...this.#impersonation };
    const tls = { ...server, ...client, ...part.certificate };
    const kind = part.authorization === undefined ? (tls.cert === undefined ? "none" : "certificate") : (part.kind ?? "token");
    const before = this.#current;
    if (before !== undefined && isDeepStrictEqual([before.headers, before.tls], [headers, tls])) return before;
    this.#current = { headers, tls, kind, generation: (before?.generation ?? 0) + 1 };
    return this.#current;
  }

  /** Read again where they are in files that may have been replaced. */
  async #tls(refused: boolean): Promise<{ server: TlsOptions; client: TlsOptions }> {
    const now = performance.now();
    if (this.#files === undefined || refused || now - this.#files.readAt > REREAD_MS) {
      const { cluster, user } = this.#selection;
      try {
        const server = this.#encrypted ? await serverTls(cluster) : {};
        const client = this.#encrypted ? ((await clientTls(user)) ?? {}) : {};
        this.#files = { server, client, readAt: now };
      } catch (error) {
        // Half written, perhaps: what was read before is used until the next time.
        if (this.#files === undefined) throw error;
        this.#files = { ...this.#files, readAt: now };
      }
    }
    return this.#files;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    try {
      return await mine;
    } catch (error) {
      if (error instanceof UserError || this.#context.signal.aborted) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new UserError({
        reason: "CredentialsUnusable",
        message: say`cannot use the credentials in the kubeconfig`,
        why,
        cause: error,
      });
    }
  }
}

/** The headers of a user who acts as another one. Throws a usage error where nobody is named. */
function impersonation(user: Entry): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const { as, "as-uid": uid, "as-groups": groups, "as-user-extra": extra } = user;
  if (typeof as === "string" && as !== "") headers["impersonate-user"] = as;
  if (typeof uid === "string" && uid !== "") headers["impersonate-uid"] = uid;
  if (Array.isArray(groups) && groups.length > 0) headers["impersonate-group"] = groups.map(String);
  for (const [name, values] of Object.entries(typeof extra === "object" && extra !== null ? extra : {})) {
    headers[`impersonate-extra-${encodeURIComponent(name.toLowerCase())}`] = [values as unknown].flat().map(String);
  }
  if (Object.keys(headers).length > 0 && headers["impersonate-user"] === undefined) {
    throw usageError("--as-group and --as-uid require --as, or as in the kubeconfig", "add --as USER");
  }
  return headers;
}
