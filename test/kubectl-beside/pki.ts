// Keys and certificates for the fakes: made by openssl, since Node.js makes none.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Of each, NAME.crt and NAME.key are in the folder. */
export interface Pki {
  readonly folder: string;
  /** The text of a file in it. */
  readonly read: (file: string) => string;
  /** As kubeconfigs have data. */
  readonly data: (file: string) => string;
}

const NAMES = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:api.example,DNS:other.example";

/**
 * ca: of the API server, which is "server"; alice, bob: clients of it; system: an authority that only this machine trusts, and
 * "proxy" with a certificate of it; stranger: a key without a certificate; locked.key: alice's key behind a passphrase.
 */
export function makePki(folder: string): Pki {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const authority = (name: string) =>
    openssl("req", "-x509", ...ec, "-days", "2", "-keyout", `${name}.key`, "-out", `${name}.crt`, "-subj", `/CN=${name}`);
  const signed = (name: string, by: string, extension: string, days = 2) => {
    writeFileSync(join(folder, "extension"), extension);
    openssl("req", "-new", ...ec, "-keyout", `${name}.key`, "-out", "request", "-subj", `/O=${name}s/CN=${name}`);
    const signer = ["-CA", `${by}.crt`, "-CAkey", `${by}.key`, "-CAcreateserial"];
    openssl("x509", "-req", "-in", "request", ...signer, "-days", String(days), "-extfile", "extension", "-out", `${name}.crt`);
  };
  authority("ca");
  authority("system");
  signed("server", "ca", NAMES);
  signed("expired", "ca", NAMES, -1);
  signed("proxy", "system", NAMES);
  for (const client of ["alice", "bob"]) signed(client, "ca", "extendedKeyUsage=clientAuth");
  openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "stranger.key");
  openssl("pkcs8", "-topk8", "-in", "alice.key", "-passout", "pass:secret", "-out", "locked.key");
  const read = (file: string): string => readFileSync(join(folder, file), "utf8");
  return { folder, read, data: (file) => Buffer.from(read(file)).toString("base64") };
}
