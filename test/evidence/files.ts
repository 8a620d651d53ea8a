// An archive with its record, keys of openssl, and a timestamp authority that openssl is.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, type TestContext } from "node:test";

const SAMPLE = join(import.meta.dirname, "../data/archives/checkpoint-counter_default-counter-2026-11-24T02-28-30Z.tar");

/** A directory that is gone after the tests of the file. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "evidence-"));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** A real archive with a record as a copy writes it; the path of the archive. */
export function archive(directory: string, name = "checkpoint-web.tar", sample = SAMPLE): string {
  const path = join(directory, name);
  copyFileSync(sample, path);
  const bytes = readFileSync(path).length;
  const copy = { path, record: `${path}.json`, bytes, sha256: sha256(path), seconds: 0.1, wireBytes: bytes };
  const record = {
    apiVersion: "checkpoint.kubectl/v1",
    kind: "CopyList",
    items: [{ node: "node1", nodePath: `/checkpoints/${name}`, copy }],
  };
  writeFileSync(`${path}.json`, `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 });
  return path;
}

export interface KeyPair {
  readonly secret: string;
  readonly public: string;
}

/** Made by openssl: PKCS#8, and the public key in PEM. */
export function keyPair(directory: string, name: string, algorithm: "ed25519" | "ec" | "p384" = "ed25519", passphrase?: string): KeyPair {
  const curve = { ed25519: [], ec: ["-pkeyopt", "ec_paramgen_curve:P-256"], p384: ["-pkeyopt", "ec_paramgen_curve:P-384"] }[algorithm];
  const secret = join(directory, `${name}.key`);
  const cipher = passphrase === undefined ? [] : ["-aes256", "-pass", `pass:${passphrase}`];
  const type = algorithm === "p384" ? "ec" : algorithm;
  openssl("genpkey", "-algorithm", type, ...curve, ...cipher, "-out", secret);
  const open = passphrase === undefined ? [] : ["-passin", `pass:${passphrase}`];
  openssl("pkey", "-in", secret, ...open, "-pubout", "-out", join(directory, `${name}.pub`));
  return { secret, public: join(directory, `${name}.pub`) };
}

export function openssl(...words: string[]): string {
  return execFileSync("openssl", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

export interface Authority {
  readonly url: string;
  /** The certificate of the root, PEM. */
  readonly ca: string;
}

export interface AuthorityOptions {
  readonly key?: "ec" | "rsa";
  /** Extended key usage of the certificate that signs. */
  readonly usage?: string;
  readonly digest?: string;
  /** What is answered in place of openssl's. */
  readonly answer?: (query: Buffer) => { readonly status?: number; readonly type?: string; readonly body: Buffer };
}

/** openssl's timestamp authority behind HTTP: a root, an intermediate, and a certificate that signs. Until the test ends. */
export async function timestampAuthority(t: TestContext, options: AuthorityOptions = {}): Promise<Authority> {
  const { key = "ec", usage = "critical,timeStamping", digest = "sha256", answer } = options;
  const directory = mkdtempSync(join(tmpdir(), "tsa-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const at = (name: string): string => join(directory, name);
  const certificate = (name: string, extensions: string, issuer?: string): void => {
    const make = key === "rsa" ? ["rsa:2048"] : ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    writeFileSync(at(`${name}.cnf`), `[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=Test ${name}\n[ext]\n${extensions}\n`);
    const common = ["-nodes", "-newkey", ...make, "-keyout", at(`${name}.key`), "-config", at(`${name}.cnf`), "-extensions", "ext"];
    const by = issuer === undefined ? [] : ["-CA", at(`${issuer}.crt`), "-CAkey", at(`${issuer}.key`)];
    openssl("req", "-x509", "-days", "30", ...common, ...by, "-out", at(`${name}.crt`));
  };
  certificate("root", "basicConstraints=critical,CA:true");
  certificate("intermediate", "basicConstraints=critical,CA:true", "root");
  certificate("authority", `basicConstraints=critical,CA:false\nextendedKeyUsage=${usage}`, "intermediate");
  writeFileSync(
    at("tsa.cnf"),
    `[tsa]\ndefault_tsa=one\n[one]\nserial=${at("serial")}\ndefault_policy=1.2.3.4\ndigests=sha256\nsigner_digest=${digest}\nordering=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n`,
  );
  writeFileSync(at("serial"), "01");
  const server = createServer((request, response) => {
    void buffer(request).then((query) => {
      writeFileSync(at("query"), query);
      if (answer !== undefined) {
        const { status = 200, type = "application/timestamp-reply", body } = answer(query);
        response.writeHead(status, { "content-type": type }).end(body);
        return;
      }
      const signer = ["-signer", at("authority.crt"), "-inkey", at("authority.key"), "-chain", at("intermediate.crt")];
      openssl("ts", "-reply", "-queryfile", at("query"), "-config", at("tsa.cnf"), ...signer, "-out", at("reply"));
      response.writeHead(200, { "content-type": "application/timestamp-reply" }).end(readFileSync(at("reply")));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, ca: at("root.crt") };
}
