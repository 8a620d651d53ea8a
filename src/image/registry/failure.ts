import { Interrupted, UserError, type Explanation, systemText } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
import { command, say, type Phrase, type Text } from "../../model/phrase.ts";
import type { Credential } from "./credentials.ts";

export interface RegistryAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
}

/** What is known of a request that failed, besides the answer. */
export interface Attempted {
  /** As the user writes it: HOST[:PORT]. */
  readonly registry: string;
  readonly repository: string;
  /** "push the layer", "read the manifest". */
  readonly doing: string;
  readonly plainHttp: boolean;
  readonly credential: Credential | undefined;
}

/** No answer came, or one that says that the registry is not well: the same may work when it is tried again. */
export class RegistryCut extends UserError {}

interface Unreached {
  readonly codes: RegExp;
  readonly explain: (attempted: Attempted) => Omit<Explanation, "why">;
}

const UNREACHED: readonly Unreached[] = [
  {
    codes: /WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG/,
    explain: ({ registry }) => ({
      reason: "RegistryPlainHttp",
      message: say`the registry ${registry} does not use TLS`,
      fix: "if everybody on the network may read what is sent, use --plain-http",
    }),
  },
  {
    codes: /^ERR_TLS_CERT_ALTNAME_INVALID/,
    explain: ({ registry }) => ({
      reason: "RegistryCertificateUntrusted",
      message: say`the certificate of the registry ${registry} is for another name`,
      fix: "use the name that is in the certificate",
    }),
  },
  {
    codes: /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID)/,
    explain: ({ registry }) => ({
      reason: "RegistryCertificateExpired",
      message: say`the certificate of the registry ${registry} is not valid today`,
      fix: "check this machine's clock; if it is right, the registry's certificate has to be renewed",
    }),
  },
  {
    codes: /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_OSSL|ERR_SSL)/,
    explain: ({ registry }) => ({
      reason: "RegistryCertificateUntrusted",
      message: say`the certificate of the registry ${registry} is not signed by an authority that this machine trusts`,
      fix: "give the certificate of its CA: --ca-file FILE",
    }),
  },
  {
    codes:
      /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|EADDRNOTAVAIL|UND_ERR_PRX_TLS)/,
    explain: ({ registry }) => ({
      reason: "RegistryUnreachable",
      message: say`the registry ${registry} cannot be reached`,
      fix: "check its name and port (a VPN or HTTPS_PROXY may be missing)",
    }),
  },
];

/** What a request without an answer means. Interruptions and UserErrors stay what they are. */
export function unanswered(error: unknown, attempted: Attempted): Error {
  if (error instanceof UserError || error instanceof Interrupted) return error;
  const code = codeOf(error);
  const why = messageOf(error);
  const known = UNREACHED.find(({ codes }) => codes.test(code));
  if (known !== undefined) {
    const what = { ...known.explain(attempted), why, cause: error };
    return /Unreachable/.test(what.reason) ? new RegistryCut(what) : new UserError(what);
  }
  if (/^(UND_ERR|ECONN|EPIPE|EPROTO|HPE_)/.test(code)) {
    return new RegistryCut({
      reason: "RegistryConnectionLost",
      message: say`the connection to the registry ${attempted.registry} was lost`,
      why,
      cause: error,
    });
  }
  return error instanceof Error ? error : new Error(String(error));
}

/**
 * What a refusal means, by the registry's own words (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes).
 * A RegistryCut where the registry is not well.
 */
export function refused(answer: RegistryAnswer, attempted: Attempted): UserError {
  const { registry, repository, doing, credential } = attempted;
  const { status } = answer;
  const said = saidIn(answer);
  const why = said === "" ? say`it answered ${status}` : say`it answered ${status}: ${said}`;
  const codes = errorCodes(answer);
  if (status === 401) return unauthorized(attempted, why);
  if (/no space left|disk (is )?full|quota (has been )?exceeded|"?Err"?:\s*28\b/i.test(said) || status === 507) {
    return new UserError({
      reason: "RegistryFull",
      message: say`the registry ${registry} has no space left`,
      why,
      fix: "make room in its storage, then try again: what it has already is not sent again",
    });
  }
  if (status === 403 || codes.includes("DENIED")) {
    const who = credential === undefined ? say`without a login` : say`as ${credential.username || "the user"} of ${credential.from}`;
    return new UserError({
      reason: "RegistryForbidden",
      message: say`the registry ${registry} does not let you ${doing} in ${repository} (${who})`,
      why,
      fix: credential === undefined ? loginFix(registry) : "ask the registry's administrator for the permission, or log in as another user",
    });
  }
  if (status === 400 && /HTTP request to an HTTPS server/i.test(answer.bytes.toString("latin1"))) {
    return new UserError({
      reason: "RegistrySpeaksTLS",
      message: say`the registry ${registry} uses TLS`,
      why,
      fix: "leave out --plain-http",
    });
  }
  if (status === 404 && codes.includes("NAME_UNKNOWN")) {
    return new UserError({
      reason: "RepositoryNotFound",
      message: say`the registry ${registry} has no repository ${repository}`,
      why,
      fix: "some registries require that it is created first",
    });
  }
  if (status === 404 && !/json/i.test(String(answer.headers["content-type"]))) {
    return new UserError({
      reason: "NotARegistry",
      message: say`${registry} does not answer as a registry does`,
      why,
      fix: "check its name and port",
    });
  }
  if (status === 413) {
    return new UserError({
      reason: "RegistryTooLarge",
      message: say`${registry} does not accept requests of this size`,
      why: say`${why}: a proxy in front of the registry may limit requests (nginx: client_max_body_size)`,
      fix: "raise the limit, or push to the registry itself",
    });
  }
  if (status === 429) {
    return new RegistryCut({
      reason: "RegistryBusy",
      message: say`the registry ${registry} limits requests`,
      why,
      fix: "try again later, or log in: anonymous users are limited more",
    });
  }
  if (UNWELL.has(status))
    return new RegistryCut({
      reason: "RegistryFailed",
      message: say`the registry ${registry} failed: could not ${doing}`,
      why,
      fix: "try again later",
    });
  return new UserError({ reason: "RegistryRefused", message: say`the registry ${registry} did not let you ${doing}`, why });
}

/** An answer that no registry should give. */
export function unexpected(registry: string, why: Text): UserError {
  return new UserError({ reason: "RegistryAnswerInvalid", message: say`the registry ${registry} gave an unexpected answer`, why });
}

/** What a registry answers that is not well: the same may work later. */
const UNWELL = new Set([500, 502, 503, 504]);

export function unauthorized({ registry, credential }: Attempted, why: Text): UserError {
  if (credential === undefined) {
    return new UserError({
      reason: "RegistryLoginNeeded",
      message: say`the registry ${registry} requires a login`,
      why,
      fix: loginFix(registry),
    });
  }
  return new UserError({
    reason: "RegistryLoginWrong",
    message: say`the registry ${registry} does not accept the login of ${credential.username || "the token"} from ${credential.from}`,
    why,
    fix: loginFix(registry),
  });
}

function loginFix(registry: string): Phrase {
  const [docker, podman] = [command`docker login ${registry}`, command`podman login ${registry}`];
  return say`${docker} or ${podman}, then try again; --registry-config FILE takes another file`;
}

/** What the registry says of an error, on one line. */
export function saidIn({ bytes }: RegistryAnswer): string {
  const text = bytes.toString("utf8");
  const parts = errorsIn(text).map((error) => {
    const { code, message, detail } = object(error);
    const details = detail === undefined || detail === null ? "" : typeof detail === "string" ? detail : JSON.stringify(detail);
    return [string(code), string(message), details === "{}" || details === "[]" ? "" : details].filter(Boolean).join(": ");
  });
  const said =
    parts.length > 0
      ? parts.join("; ")
      : text
          .replaceAll(/<[^>]*>/g, " ")
          .replaceAll(/\s+/g, " ")
          .trim();
  return said.length > 500 ? `${said.slice(0, 500)}…` : said;
}

function errorCodes({ bytes }: RegistryAnswer): string[] {
  return errorsIn(bytes.toString("utf8")).map((error) => string(object(error)["code"]));
}

function errorsIn(text: string): readonly unknown[] {
  try {
    return list(object(JSON.parse(text))["errors"]);
  } catch {
    return [];
  }
}

/** Of the innermost cause that has one. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error.cause;
  const { code } = error as NodeJS.ErrnoException;
  const own = typeof code === "string" ? code : "";
  // OpenSSL tells plain HTTP in its message only.
  return codeOf(inner) || (/wrong version number/i.test(error.message) ? "WRONG_VERSION_NUMBER" : own);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? systemText(error) || codeOf(error) : String(error);
}
