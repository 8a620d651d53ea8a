import { Interrupted, UserError } from "../model/error.ts";

export interface FailedRequest {
  readonly method: string;
  readonly url: string;
  readonly server: string;
  readonly timeoutMs: number;
}

/** No answer came. `sent` tells whether the request may have reached the server all the same. */
export class Unanswered extends UserError {
  readonly sent: boolean;

  constructor(what: ConstructorParameters<typeof UserError>[0] & { readonly sent: boolean }) {
    super(what);
    this.sent = what.sent;
  }
}

interface Row {
  readonly codes: RegExp;
  readonly reason: string;
  readonly sent: boolean;
  readonly message: (server: string) => string;
  readonly fix?: string;
}

/** Codes of Node's and undici's errors, of OpenSSL's verification too. */
const ROWS: readonly Row[] = [
  {
    codes: /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID)$/,
    reason: "CertificateExpired",
    sent: false,
    message: (server) => `the certificate of ${server} is not valid today`,
    fix: "check this machine's clock; if it is right, the API server's certificate has to be renewed",
  },
  {
    codes: /^(ERR_TLS_CERT_ALTNAME_INVALID)$/,
    reason: "CertificateUntrusted",
    sent: false,
    message: (server) => `the certificate of ${server} is for another name`,
    fix: "use the name in the certificate as server, or give --tls-server-name NAME",
  },
  {
    codes: /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_OSSL_PEM|ERR_OSSL_X509|ERR_SSL_)/,
    reason: "CertificateUntrusted",
    sent: false,
    message: (server) => `no trusted TLS connection to ${server}`,
    fix: "check certificate-authority of the cluster in the kubeconfig, or give --certificate-authority FILE",
  },
  {
    codes:
      /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|UND_ERR_PRX_TLS|EPROTO|EADDRNOTAVAIL)$/,
    reason: "ApiserverUnreachable",
    sent: false,
    message: (server) => `the API server ${server} cannot be reached`,
    fix: "check the address with: kubectl cluster-info (a VPN or HTTPS_PROXY may be missing)",
  },
];

/** What a request without an answer means to its user. Interruptions and UserErrors stay what they are. */
export function networkError(error: unknown, { method, url, server, timeoutMs }: FailedRequest): Error {
  if (error instanceof UserError || error instanceof Interrupted) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    const message = `no answer to ${method} ${url} within ${timeoutMs / 1000} s`;
    return new Unanswered({ reason: "RequestTimedOut", message, fix: "give a longer --request-timeout", sent: true, cause: error });
  }
  const code = codeOf(error);
  const why = error instanceof Error ? describe(error) : String(error);
  const row = ROWS.find(({ codes }) => codes.test(code));
  if (row !== undefined)
    return new Unanswered({ reason: row.reason, message: row.message(server), why, fix: row.fix, sent: row.sent, cause: error });
  if (/^(UND_ERR|ECONN|EPIPE|HPE_)/.test(code)) {
    return new Unanswered({
      reason: "ConnectionLost",
      message: `the connection to ${server} was lost before it answered`,
      why,
      sent: true,
      cause: error,
    });
  }
  return error instanceof Error ? error : new Error(why);
}

/** Of the innermost cause that has one: proxies and happy eyeballs wrap the errors that matter. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error.cause;
  const { code } = error as NodeJS.ErrnoException;
  return codeOf(inner) || (typeof code === "string" ? code : "");
}

function describe(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((one) => (one as Error).message).join("; ");
  return error.message || codeOf(error);
}
