import { createHash, verify, X509Certificate } from "node:crypto";
import { X509Certificate as Names } from "@sigstore/core";
import { algorithmOf, bytesOf, children, encode, expectInteger, octets, oidOf, parseDer, SEQUENCE, SET, timeOf, type Der } from "./der.ts";

const SIGNED_DATA = "1.2.840.113549.1.7.2";
const TST_INFO = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
/** Which certificate signs, by its hash: of SHA-1 (RFC 2634), and of others (RFC 5816). */
const SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12";
const SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";
const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";

const DIGESTS: Readonly<Record<string, string>> = {
  "1.3.14.3.2.26": "sha1",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};
/** What signs, and the digest where the algorithm names it. RSA alone, RSA with SHA-2, ECDSA with SHA-2, Ed25519. */
const SIGNATURES: Readonly<Record<string, string | undefined>> = {
  "1.2.840.113549.1.1.1": undefined,
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.3.101.112": undefined,
};
const ED25519 = "1.3.101.112";
const LONGEST_CHAIN = 8;

/** An RFC 3161 timestamp whose own signature holds. */
export interface Timestamp {
  /** When it was made, by the authority's clock: milliseconds since the epoch. */
  readonly time: number;
  /** The subject of the certificate that signed it. */
  readonly authority: string;
  readonly nonce: bigint | undefined;
  /** Why its certificate is not to be trusted, a clause; undefined where one of these has issued it. */
  distrust(authorities: readonly X509Certificate[]): string | undefined;
}

/**
 * Reads an RFC 3161 response (TimeStampResp, DER) about `data`, strictly: every byte of it counts. `others` are certificates that it may
 * lack. Throws an Error that says what is wrong with it.
 */
export function readTimestamp(response: Buffer, data: Buffer, others: readonly X509Certificate[] = []): Timestamp {
  const [status, token] = children(parseDer(response), 2);
  const [code] = children(status, 1);
  if (code?.toInteger() !== 0n && code?.toInteger() !== 1n) throw new Error("the authority refused it");
  const [contentType, content] = children(token, 2);
  if (oidOf(contentType) !== SIGNED_DATA) throw new Error("it is not signed");
  const [signedData] = children(content, 1);
  const [version, digests, encapsulated, ...rest] = children(signedData, 4);
  expectInteger(version, 3, "version");
  const [type, wrapped] = children(encapsulated, 2);
  if (oidOf(type) !== TST_INFO) throw new Error("it is not a timestamp");
  const info = octets(children(wrapped, 1)[0]);
  const [signer, ...signers] = children(rest.at(-1), 1);
  if (signer === undefined || signers.length > 0) throw new Error("it has several signers");
  const included = rest
    .slice(0, -1)
    .filter(({ tag }) => tag.isContextSpecific(0))
    .flatMap((set) => children(set).map((one) => new X509Certificate(bytesOf(one))));
  const certificate = checkSigner(signer, { info, digests, certificates: [...included, ...others] });
  for (const one of included)
    if (!isIssuedByOne(one, [...included, ...others])) throw new Error("a certificate in it is damaged, or its issuer is unknown");
  return {
    ...tstInfo(info, data),
    authority: nameOf(certificate),
    distrust: (authorities) => distrust(certificate, included, authorities, tstInfo(info, data).time),
  };
}

/** RFC 5652, 5.3. Answers with the certificate that signed. */
function checkSigner(
  signer: Der,
  { info, digests, certificates }: { info: Buffer; digests: Der | undefined; certificates: readonly X509Certificate[] },
): X509Certificate {
  const [version, sid, digest, attributes, algorithm, signature] = children(signer, 6);
  expectInteger(version, 1, "signer's version");
  const digestOid = algorithmOf(digest);
  const digestName = DIGESTS[digestOid];
  if (digestName === undefined) throw new Error("it has an unknown digest");
  if (children(digests).some((one) => algorithmOf(one) !== digestOid)) throw new Error("its digests differ");
  const certificate = certificates.find((one) => isNamed(one, sid));
  if (certificate === undefined) throw new Error("the certificate of its signer is missing");
  const values = attributesOf(attributes);
  if (oidOf(values(CONTENT_TYPE)) !== TST_INFO) throw new Error("it is not a timestamp");
  if (!octets(values(MESSAGE_DIGEST)).equals(createHash(digestName).update(info).digest())) throw new Error("its contents were changed");
  checkCertificateHash(certificate, values);
  const signatureOid = algorithmOf(algorithm);
  if (!(signatureOid in SIGNATURES)) throw new Error("it has an unknown signature algorithm");
  const hash = signatureOid === ED25519 ? null : (SIGNATURES[signatureOid] ?? digestName);
  const signed = attributes === undefined ? Buffer.alloc(0) : bytesOf(attributes, SET);
  if (!verify(hash, signed, certificate.publicKey, octets(signature))) throw new Error("its signature is wrong");
  return certificate;
}

function isNamed(certificate: X509Certificate, sid: Der | undefined): boolean {
  const [issuer, serial] = children(sid, 2);
  const named = Names.parse(certificate.raw);
  return issuer !== undefined && serial !== undefined && named.issuer.equals(issuer.value) && named.serialNumber.equals(serial.value);
}

/** The value of a signed attribute. Throws where there is not exactly one. */
function attributesOf(attributes: Der | undefined): (oid: string) => Der {
  if (attributes?.tag.isContextSpecific(0) !== true) throw new Error("it has no signed attributes");
  const found = new Map(children(attributes).map((one) => [oidOf(children(one, 2)[0]), children(children(one, 2)[1])]));
  return (oid) => {
    const [value, ...others] = found.get(oid) ?? [];
    if (value === undefined || others.length > 0) throw new Error(`it has no attribute ${oid}`);
    return value;
  };
}

function checkCertificateHash(certificate: X509Certificate, values: (oid: string) => Der): void {
  const [oid, value] = [SIGNING_CERTIFICATE_V2, SIGNING_CERTIFICATE].flatMap((one) => {
    try {
      return [[one, values(one)] as const];
    } catch {
      return [];
    }
  })[0] ?? [undefined, undefined];
  const [id] = children(children(value, 1)[0], 1);
  const [first, second] = children(id, 1);
  const algorithm = first?.tag.constructed === true ? DIGESTS[algorithmOf(first)] : oid === SIGNING_CERTIFICATE ? "sha1" : "sha256";
  const hash = octets(first?.tag.constructed === true ? second : first);
  if (algorithm === undefined || !createHash(algorithm).update(certificate.raw).digest().equals(hash))
    throw new Error("it was signed with another certificate");
}

/** RFC 3161, 2.4.2. Throws where it is not about `data`. */
function tstInfo(info: Buffer, data: Buffer): { readonly time: number; readonly nonce: bigint | undefined } {
  const [, , imprint, , time, ...optional] = children(parseDer(info), 5);
  const [algorithm, hashed] = children(imprint, 2);
  const digest = DIGESTS[algorithmOf(algorithm)];
  if (digest === undefined || !createHash(digest).update(data).digest().equals(octets(hashed)))
    throw new Error("it is the timestamp of another signature");
  return { time: timeOf(time), nonce: optional.find(({ tag }) => tag.isInteger())?.toInteger() };
}

function distrust(
  certificate: X509Certificate,
  included: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  time: number,
): string | undefined {
  // Node.js calls the extended key usages so.
  if (!certificate.keyUsage?.includes(TIME_STAMPING)) return `the certificate of ${nameOf(certificate)} is not one for timestamps`;
  let current = certificate;
  for (let length = 0; length < LONGEST_CHAIN; length += 1) {
    if (!isValidAt(current, time)) return `the certificate of ${nameOf(current)} was not valid at that time`;
    const top = current;
    if (authorities.some((one) => one.raw.equals(top.raw))) return undefined;
    const anchor = authorities.find((one) => one.ca && hasIssued(one, top));
    if (anchor !== undefined)
      return isValidAt(anchor, time) ? undefined : `the certificate of ${nameOf(anchor)} was not valid at that time`;
    const next = included.find((one) => one.ca && !one.raw.equals(top.raw) && hasIssued(one, top));
    if (next === undefined) break;
    current = next;
  }
  return `the certificate of ${nameOf(certificate)} was not issued by an authority of --timestamp-ca`;
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** One whose issuer is not there is only known by its own signature being of something: its hash is in what the signer signs. */
function isIssuedByOne(certificate: X509Certificate, certificates: readonly X509Certificate[]): boolean {
  const issuers = certificates.filter((one) => certificate.checkIssued(one));
  return issuers.length === 0 || issuers.some((one) => certificate.verify(one.publicKey));
}

function isValidAt({ validFrom, validTo }: X509Certificate, time: number): boolean {
  return Date.parse(validFrom) <= time && time <= Date.parse(validTo);
}

function nameOf({ subject }: X509Certificate): string {
  return /(?:^|\n)CN=([^\n]+)/.exec(subject)?.[1] ?? subject.split("\n").join(", ");
}

/** A request (TimeStampReq) for the time of `data`, with the authority's certificates in the answer. */
export function timestampRequest(data: Buffer, nonce: bigint): Buffer {
  const integer = (hex: string): Buffer => encode(0x02, Buffer.from(hex, "hex"));
  const oid = Buffer.from("0609608648016503040201", "hex");
  const imprint = encode(
    SEQUENCE,
    encode(SEQUENCE, oid, Buffer.from([0x05, 0x00])),
    encode(0x04, createHash("sha256").update(data).digest()),
  );
  const hex = nonce.toString(16).padStart(18, "0");
  return encode(SEQUENCE, integer("01"), imprint, integer(hex.replace(/^(00)+(?=00|[0-7])/, "")), encode(0x01, Buffer.from([0xff])));
}

/** The response with nothing in its status that nobody signs. Throws where it is no response that grants. */
export function withPlainStatus(response: Buffer): Buffer {
  const [status, token] = children(parseDer(response), 1);
  const [code, ...said] = children(status, 1);
  if (token === undefined || code === undefined || code.toInteger() > 1n)
    throw new Error(
      `the authority refused: ${said.flatMap(({ subs }) => subs.map(({ value }) => value.toString("utf8"))).join("; ") || `status ${code?.toInteger()}`}`,
    );
  return encode(SEQUENCE, encode(SEQUENCE, encode(0x02, Buffer.from([0]))), bytesOf(token));
}
