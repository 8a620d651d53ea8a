import { Interrupted, UserError, systemText } from "../model/error.ts";
import { say, type Phrase, type Text } from "../model/phrase.ts";
import { ApiFailure } from "./answer.ts";

export interface FailedRequest {
  readonly method: string;
  readonly url: string;
  readonly server: string;
  readonly timeoutMs: number;
  /** Whether its first byte was written. */
  readonly sent: boolean;
  readonly clientCertificate: boolean;
}

/** No answer came. `sent` is false only where it is certain that the request was not carried out. */
export class Unanswered extends UserError {
  readonly sent: boolean;

  constructor(what: ConstructorParameters<typeof UserError>[0] & { readonly sent: boolean }) {
    super(what);
    this.sent = what.sent;
  }
}

/** Whether what a request asked for may have been done although it failed. */
export function mayHaveHappened(error: unknown): boolean {
  if (error instanceof Unanswered) return error.sent;
  return error instanceof ApiFailure && error.status >= 500;
}

interface Row {
  readonly codes: RegExp;
  readonly reason: string;
  readonly message: (server: string) => Phrase;
  readonly fix?: Text;
}

/** Codes of Node's and undici's errors, of OpenSSL's verification too, from before anything is sent. */
const ROWS: readonly Row[] = [
  {
    codes: /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID)$/,
    reason: "CertificateExpired",
    message: (server) => say`the certificate of ${server} is not valid today`,
    fix: "check this machine's clock; if it is right, the API server's certificate must be renewed",
  },
  {
    codes: /^(ERR_TLS_CERT_ALTNAME_INVALID)$/,
    reason: "CertificateUntrusted",
    message: (server) => say`the certificate of ${server} is for another name`,
    fix: "use the name in the certificate as server, or --tls-server-name NAME",
  },
  {
    codes: /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$|^EPROTO$/,
    reason: "ServerSpeaksHttp",
    message: (server) => say`${server} answers in plain HTTP, not in TLS`,
    fix: "check the port; if it is meant to be plain HTTP, write the server as http://",
  },
  {
    codes: /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|INVALID_CA|ERR_OSSL_PEM|ERR_OSSL_X509|ERR_SSL_)/,
    reason: "CertificateUntrusted",
    message: (server) => say`cannot trust the certificate of ${server}`,
    fix: "check certificate-authority of the cluster in the kubeconfig, or use --certificate-authority FILE",
  },
  {
    codes: /^(EMFILE|ENFILE)$/,
    reason: "TooManyOpenFiles",
    message: () => say`too many open files`,
    fix: "raise the limit (ulimit -n 4096), or use a smaller --parallel",
  },
  {
    codes:
      /^(ENOTFOUND|EAI_AGAIN|EAI_NODATA|EAI_FAIL|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|EADDRNOTAVAIL|ECONNRESET|EPIPE|UND_ERR_SOCKET)$/,
    reason: "ApiserverUnreachable",
    message: (server) => say`cannot reach the API server ${server}`,
    fix: "check the address with: kubectl cluster-info (a VPN or HTTPS_PROXY may be missing)",
  },
];

/** TLS alerts by which a server ends a connection because of who connects: it has carried out nothing. */
const CLIENT_REFUSED =
  /ERR_SSL_(TLSV1|TLSV13|SSLV3)_ALERT_(BAD_CERTIFICATE|CERTIFICATE_REQUIRED|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|UNKNOWN_CA|ACCESS_DENIED|UNSUPPORTED_CERTIFICATE|HANDSHAKE_FAILURE|DECRYPT_ERROR)|ERR_SSL_\w*ALERT_CERTIFICATE_REQUIRED/;

/** What a request without an answer means to its user. Interruptions and UserErrors stay what they are. */
export function networkError(error: unknown, request: FailedRequest): Error {
  if (error instanceof UserError || error instanceof Interrupted) return error;
  const { method, url, server, timeoutMs, sent } = request;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    const message = say`no answer to ${method} ${url} within ${timeoutMs / 1000} s`;
    return new Unanswered({ reason: "RequestTimedOut", message, fix: "use a longer --request-timeout", sent, cause: error });
  }
  const code = codeOf(error);
  const why = error instanceof Error ? describe(error) : String(error);
  if (CLIENT_REFUSED.test(code)) return clientRefused(request, why, error);
  const row = sent && !/^(EMFILE|ENFILE)$/.test(code) ? undefined : ROWS.find(({ codes }) => codes.test(code));
  if (row !== undefined)
    return new Unanswered({ reason: row.reason, message: row.message(server), why, fix: row.fix, sent: false, cause: error });
  if (/^(UND_ERR|E[A-Z]+$|HPE_|ERR_SSL)/.test(code)) {
    return new Unanswered({
      reason: sent ? "ConnectionLost" : "ApiserverUnreachable",
      message: sent ? say`the connection to ${server} was lost before it answered` : say`cannot reach the API server ${server}`,
      why,
      sent,
      cause: error,
    });
  }
  return error instanceof Error ? error : new Error(why);
}

function clientRefused({ server, clientCertificate }: FailedRequest, why: string, cause: unknown): Unanswered {
  return new Unanswered({
    reason: "ClientCertificateRefused",
    message: clientCertificate
      ? say`${server} does not accept the client certificate of this user`
      : say`${server} requires a client certificate, and this user has none`,
    why,
    fix: clientCertificate
      ? "it may have expired, or be for another cluster: check client-certificate and client-key in the kubeconfig"
      : "add client-certificate and client-key to the user in the kubeconfig",
    sent: false,
    cause,
  });
}

/** Of the innermost cause that has one: happy eyeballs wrap the errors that matter. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error.cause;
  const { code } = error as NodeJS.ErrnoException;
  return codeOf(inner) || (typeof code === "string" ? code : "");
}

export function describe(error: Error): string {
  return systemText(error) || codeOf(error);
}
