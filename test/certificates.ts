// Certificates for servers and clients of tests. Made by openssl: Node.js makes none.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificates {
  readonly ca: string;
  /** For 127.0.0.1 and localhost, or the hosts that were given, and for the user "admin": it serves both ends. */
  readonly cert: string;
  readonly key: string;
}

/** Writes ca.crt, tls.crt and tls.key into a folder as well. */
export function makeCertificates(folder: string, hosts = "IP:127.0.0.1,DNS:localhost"): Certificates {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca");
  const names = ["-subj", "/CN=admin", "-addext", `subjectAltName=${hosts}`];
  openssl("req", "-x509", ...ec, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "tls.key", "-out", "tls.crt", ...names);
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  return { ca: read("ca.crt"), cert: read("tls.crt"), key: read("tls.key") };
}
