import { readFile } from "node:fs/promises";
import type { Context } from "../../model/context.ts";
import { say } from "../../model/phrase.ts";
import type { CredentialKind } from "../answer.ts";
import type { Entry, Selection } from "../kubeconfig/options.ts";
import { unusable } from "./tls.ts";

/** What a source adds to a credential. */
export interface Part {
  readonly authorization?: string;
  readonly kind?: CredentialKind;
  readonly certificate?: { readonly cert: string; readonly key: string };
}

/** Where the part of a credential comes from that changes with time. */
export interface Source {
  /** What is good now. `refused`: the server answered 401 to what came last. Throws a UserError. */
  part(refused: boolean): Promise<Part>;
}

/**
 * In kubectl's order: over plain HTTP nothing; a token file, else a token; a password; an auth provider; a plugin, which does not run
 * for users who have something of their own.
 */
export async function sourceOf(
  { cluster, user, userPlace }: Selection,
  encrypted: boolean,
  hasCertificate: boolean,
  context: Context,
): Promise<Source | undefined> {
  if (!encrypted) return undefined;
  const own = ownSource(user);
  if (own !== undefined) return own;
  const provider = user["auth-provider"];
  if (provider !== undefined) {
    const { authProvider } = await import("./provider.ts");
    return await authProvider(provider as Entry, userPlace, context);
  }
  const { exec } = user;
  if (exec === undefined || hasCertificate) return undefined;
  const { ExecPlugin } = await import("./exec.ts");
  return new ExecPlugin(exec as Entry, cluster, context);
}

function ownSource(user: Entry): Source | undefined {
  const { token, tokenFile, username = "", password = "" } = user;
  if (typeof tokenFile === "string" && tokenFile !== "") return new TokenFile(tokenFile, typeof token === "string" ? token : "");
  if (typeof token === "string" && token !== "") return constant({ authorization: `Bearer ${token}`, kind: "token" });
  if (username === "" && password === "") return undefined;
  const login = Buffer.from(`${String(username)}:${String(password)}`).toString("base64");
  return constant({ authorization: `Basic ${login}`, kind: "password" });
}

function constant(part: Part): Source {
  return { part: async () => part };
}

/** As client-go: projected tokens are renewed on disk well before they expire. */
const REREAD_MS = 60_000;

/** A token in a file, as pods have it: read again every minute. Where it cannot be read, what it was, or the token beside it. */
class TokenFile implements Source {
  readonly #file: string;
  #token: string;
  #readAt = -Infinity;

  constructor(file: string, fallback: string) {
    this.#file = file;
    this.#token = fallback;
  }

  async part(refused: boolean): Promise<Part> {
    const now = performance.now();
    if (refused || now - this.#readAt > REREAD_MS) {
      this.#token = await this.#read();
      this.#readAt = now;
    }
    return { authorization: `Bearer ${this.#token}`, kind: "token" };
  }

  async #read(): Promise<string> {
    let why: string | undefined;
    try {
      const token = (await readFile(this.#file, "utf8")).trim();
      if (token !== "") return token;
    } catch (error) {
      why = (error as Error).message;
    }
    if (this.#token !== "") return this.#token;
    throw unusable(why === undefined ? say`the token file ${this.#file} is empty` : say`cannot read the token file ${this.#file}`, why);
  }
}
