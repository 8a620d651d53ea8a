import { UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import { basicHeader, tokenIn, tokenRequest, type Token, type TokenRequest } from "./authorization.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type { Credential } from "./credentials.ts";
import { refused, saidIn, unauthorized, type Attempted, type RegistryAnswer } from "./failure.ts";

/** Asks a token server. Throws a UserError where no answer comes. */
export type AskForToken = (request: TokenRequest) => Promise<RegistryAnswer>;

export interface LoginOptions {
  /** Looked for when the registry first asks; undefined is anonymous. */
  readonly credential: () => Promise<Credential | undefined>;
  readonly plainHttp: boolean;
  readonly ask: AskForToken;
  readonly attempted: (doing: string) => Attempted;
}

/** How requests to a registry are authorized: as it asked for, once it has. */
export class Login {
  readonly #options: LoginOptions;
  readonly #scopes: Set<string>;
  #challenge: Challenge | undefined;
  #token: Token | undefined;
  credential: Credential | undefined;

  constructor(scope: string, options: LoginOptions) {
    this.#scopes = new Set([scope]);
    this.#options = options;
  }

  /** One more thing that tokens are for, from the next one on. */
  add(scope: string): void {
    this.#scopes.add(scope);
    this.#token = undefined;
  }

  /** The registry has refused a request: takes what it asks for. False where that is nothing that is known. */
  async challenged(answer: RegistryAnswer): Promise<boolean> {
    const offered = parseChallenges(answer.headers["www-authenticate"]);
    const next = offered.find(({ scheme }) => scheme === "bearer") ?? offered.find(({ scheme }) => scheme === "basic");
    if (next === undefined) return false;
    this.credential ??= await this.#options.credential();
    this.#challenge = next;
    this.#token = undefined;
    return true;
  }

  /** For the Authorization header; undefined as long as the registry wants none. `answer` is its refusal, where there was one. */
  async header(doing: string, answer?: RegistryAnswer): Promise<string | undefined> {
    if (this.#challenge === undefined) return undefined;
    if (this.#challenge.scheme === "basic") {
      const why = answer === undefined ? "" : `it answered 401: ${saidIn(answer)}`;
      if (this.credential === undefined) throw unauthorized(this.#options.attempted(doing), why);
      return basicHeader(this.credential);
    }
    if (this.#token === undefined || performance.now() >= this.#token.until) this.#token = await this.#newToken(this.#challenge);
    return this.#token.header;
  }

  async #newToken(challenge: Challenge): Promise<Token> {
    const { plainHttp, ask } = this.#options;
    const attempted = this.#options.attempted("log in");
    const { registry } = attempted;
    const request = tokenRequest(challenge, [...this.#scopes], this.credential, plainHttp);
    if (request === undefined) {
      throw new UserError({
        reason: "RegistryLoginUnsafe",
        message: say`the registry ${registry} has no safe address to log in at`,
        why: say`its realm is "${challenge.parameters["realm"] ?? ""}"`,
      });
    }
    const answer = await ask(request);
    const { status } = answer;
    if (status === 401 || status === 403) throw unauthorized(attempted, say`its token server answered ${status}: ${saidIn(answer)}`);
    if (status >= 300) throw refused(answer, attempted);
    const token = tokenIn(answer.bytes.toString("utf8"), performance.now());
    if (token !== undefined) return token;
    throw new UserError({ reason: "RegistryLoginFailed", message: say`the token server of ${registry} answered without a token` });
  }
}
