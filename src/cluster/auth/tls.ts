import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { UserError } from "../../model/error.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import type { Entry } from "../kubeconfig/options.ts";

/** As tls.connect takes them. */
export interface TlsOptions {
  readonly ca?: string | string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

/** How the server is known, of a kubeconfig's cluster. Throws KubeconfigInvalid. */
export async function serverTls(cluster: Entry): Promise<TlsOptions> {
  const ca = await pem(cluster, "certificate-authority", "KubeconfigInvalid");
  if (ca !== undefined) ensureCertificate(ca.text, ca.from, "KubeconfigInvalid");
  const name = cluster["tls-server-name"];
  return {
    ...(ca === undefined ? {} : { ca: ca.text }),
    ...(cluster["insecure-skip-tls-verify"] === true ? { rejectUnauthorized: false } : {}),
    ...(typeof name === "string" && name !== "" ? { servername: name } : {}),
  };
}

/** The client certificate of a kubeconfig's user; undefined where it has none. Throws CredentialsUnusable. */
export async function clientTls(user: Entry): Promise<{ cert: string; key: string } | undefined> {
  const cert = await pem(user, "client-certificate", "CredentialsUnusable");
  const key = await pem(user, "client-key", "CredentialsUnusable");
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw unusable(say`the user has a client-key but no client-certificate`);
  if (key === undefined) throw unusable(say`the user has a client-certificate but no client-key`);
  return certified(cert.text, cert.from, key.text, key.from, unusable);
}

/** Checks that the key is the certificate's. `from` says where each is. */
export function certified(
  cert: string,
  certFrom: string,
  key: string,
  keyFrom: string,
  fail: (message: Phrase, why?: string) => UserError,
): { cert: string; key: string } {
  const certificate = firstCertificate(cert);
  if (certificate === undefined) throw fail(say`${certFrom} contains no certificate in PEM`);
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_MISSING_PASSPHRASE" || /ENCRYPTED/.test(key)) {
      throw fail(
        say`the key in ${keyFrom} is encrypted with a passphrase, which is not supported`,
        "decrypt it: openssl pkey -in FILE -out FILE",
      );
    }
    throw fail(say`${keyFrom} contains no private key in PEM`, message);
  }
  if (!matches) throw fail(say`the key in ${keyFrom} is not the one of the certificate in ${certFrom}`);
  return { cert, key };
}

interface Pem {
  readonly text: string;
  readonly from: string;
}

/** NAME-data, base64, or the file NAME. */
async function pem(entry: Entry, name: string, reason: string): Promise<Pem | undefined> {
  const data = entry[`${name}-data`];
  if (typeof data === "string" && data !== "") return { text: Buffer.from(data, "base64").toString("utf8"), from: `${name}-data` };
  const file = entry[name];
  if (typeof file !== "string" || file === "") return undefined;
  try {
    return { text: await readFile(file, "utf8"), from: file };
  } catch (error) {
    throw new UserError({ reason, message: say`cannot read the ${name} ${file}`, why: (error as Error).message, cause: error });
  }
}

function ensureCertificate(text: string, from: string, reason: string): void {
  if (firstCertificate(text) !== undefined) return;
  throw new UserError({ reason, message: say`${from} contains no certificate in PEM` });
}

function firstCertificate(text: string): X509Certificate | undefined {
  const [block] = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/.exec(text) ?? [];
  try {
    return block === undefined ? undefined : new X509Certificate(block);
  } catch {
    return undefined;
  }
}

export function unusable(message: Phrase, why?: string): UserError {
  return new UserError({ reason: "CredentialsUnusable", message, why });
}
