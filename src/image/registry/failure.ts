import { Interrupted, UserError, type Explanation } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
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

/** No answer came: the same may work when it is tried again. */
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
      message: `the registry ${registry} does not speak TLS`,
      fix: "if its traffic may be read by everyone on the way, give --plain-http",
    }),
  },
  {
    codes: /^ERR_TLS_CERT_ALTNAME_INVALID/,
    explain: ({ registry }) => ({
      reason: "RegistryCertificateUntrusted",
      message: `the certificate of the registry ${registry} is for another name`,
      fix: "use the name that is in the certificate",
    }),
  },
  {
    codes: /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID)/,
    explain: ({ registry }) => ({
      reason: "RegistryCertificateExpired",
      message: `the certificate of the registry ${registry} is not valid today`,
      fix: "check this machine's clock; if it is right, the registry's certificate has to be renewed",
    }),
  },
  {
    codes: /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_OSSL|ERR_SSL)/,
    explain: ({ registry }) => ({
      reason: "RegistryCertificateUntrusted",
      message: `the certificate of the registry ${registry} is signed by nobody that this machine trusts`,
      fix: "give the certificate of its CA: --ca-file FILE",
    }),
  },
  {
    codes:
      /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|EADDRNOTAVAIL|UND_ERR_PRX_TLS)/,
    explain: ({ registry }) => ({
      reason: "RegistryUnreachable",
      message: `the registry ${registry} cannot be reached`,
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
      message: `the connection to the registry ${attempted.registry} was lost`,
      why,
      cause: error,
    });
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** What a refusal means, by the registry's own words (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes). */
export function refused(answer: RegistryAnswer, attempted: Attempted): UserError {
  const { registry, repository, doing, credential } = attempted;
  const { status } = answer;
  const said = saidIn(answer);
  const why = said === "" ? `it answered ${status}` : `it answered ${status}: ${said}`;
  const codes = errorCodes(answer);
  if (status === 401) return unauthorized(attempted, why);
  if (/no space left|disk (is )?full|quota (has been )?exceeded|"?Err"?:\s*28\b/i.test(said) || status === 507) {
    return new UserError({
      reason: "RegistryFull",
      message: `the registry ${registry} has no space left`,
      why,
      fix: "make room in its storage, then try again: what it has already is not sent again",
    });
  }
  if (status === 403 || codes.includes("DENIED")) {
    const who = credential === undefined ? "without a login" : `as ${credential.username || "the user"} of ${credential.from}`;
    return new UserError({
      reason: "RegistryForbidden",
      message: `the registry ${registry} does not let you ${doing} in ${repository} (${who})`,
      why,
      fix: credential === undefined ? loginFix(registry) : "ask who keeps the registry for the right, or log in as somebody else",
    });
  }
  if (status === 400 && /HTTP request to an HTTPS server/i.test(answer.bytes.toString("latin1"))) {
    return new UserError({
      reason: "RegistrySpeaksTLS",
      message: `the registry ${registry} speaks TLS`,
      why,
      fix: "leave --plain-http out",
    });
  }
  if (status === 404 && codes.includes("NAME_UNKNOWN")) {
    return new UserError({
      reason: "RepositoryNotFound",
      message: `the registry ${registry} has no repository ${repository}`,
      why,
      fix: "some registries want it to be created first",
    });
  }
  if (status === 404 && !/json/i.test(String(answer.headers["content-type"]))) {
    return new UserError({
      reason: "NotARegistry",
      message: `${registry} does not answer as a registry does`,
      why,
      fix: "check its name and port",
    });
  }
  if (status === 413) {
    return new UserError({
      reason: "RegistryTooLarge",
      message: `${registry} does not take this much at once`,
      why: `${why}: a proxy before the registry may limit requests (nginx: client_max_body_size)`,
      fix: "raise the limit, or push to the registry itself",
    });
  }
  if (status === 429) {
    return new UserError({
      reason: "RegistryBusy",
      message: `the registry ${registry} wants fewer requests`,
      why,
      fix: "try again later, or log in: anonymous users are limited more",
    });
  }
  return new UserError({ reason: "RegistryRefused", message: `the registry ${registry} did not let you ${doing}`, why });
}

export function unauthorized({ registry, credential }: Attempted, why: string): UserError {
  if (credential === undefined) {
    return new UserError({
      reason: "RegistryLoginNeeded",
      message: `the registry ${registry} wants a login`,
      why,
      fix: loginFix(registry),
    });
  }
  return new UserError({
    reason: "RegistryLoginWrong",
    message: `the registry ${registry} does not accept the login of ${credential.username || "the token"} from ${credential.from}`,
    why,
    fix: loginFix(registry),
  });
}

function loginFix(registry: string): string {
  return `docker login ${registry} or podman login ${registry}, then try again; --registry-config FILE takes another file`;
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
  if (error instanceof AggregateError) return error.errors.map((one) => (one as Error).message).join("; ");
  return error instanceof Error ? error.message || codeOf(error) : String(error);
}
