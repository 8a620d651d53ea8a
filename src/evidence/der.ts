import { ASN1Obj } from "@sigstore/core";

/** A value of DER; see https://www.itu.int/rec/T-REC-X.690. */
export type Der = ASN1Obj;

const NULL = 0x05;
const GENERALIZED_TIME = 0x18;

export const SEQUENCE = 0x30;
export const SET = 0x31;

/** Throws where the bytes are not one value of DER, with nothing behind it. */
export function parseDer(bytes: Buffer): Der {
  return ASN1Obj.parseBuffer(Buffer.from(bytes));
}

export function encode(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 128) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

/** Its bytes, with tag and length; with another tag where one is given. */
export function bytesOf(value: Der, tag = value.tag.toDER()): Buffer {
  return encode(tag, value.value);
}

/** The values in a SEQUENCE, a SET or a tagged value. Throws where there are fewer than `least`. */
export function children(value: Der | undefined, least = 0): readonly Der[] {
  if (value === undefined || !value.tag.constructed || value.subs.length < least) throw new Error("a part of it is missing");
  return value.subs;
}

/** The OID of an AlgorithmIdentifier, which has no parameters. Throws where it has. */
export function algorithmOf(value: Der | undefined): string {
  const [oid, parameters, ...others] = children(value, 1);
  if (parameters !== undefined && (parameters.tag.toDER() !== NULL || parameters.value.length > 0 || others.length > 0))
    throw new Error("an algorithm has unknown parameters");
  return oidOf(oid);
}

export function oidOf(value: Der | undefined): string {
  if (value === undefined) throw new Error("an object identifier is missing");
  return value.toOID();
}

/** Throws unless it is the INTEGER `wanted`. */
export function expectInteger(value: Der | undefined, wanted: number, what: string): void {
  if (value?.toInteger() !== BigInt(wanted)) throw new Error(`it has another ${what} than ${wanted}`);
}

/** Throws unless it is an OCTET STRING. */
export function octets(value: Der | undefined): Buffer {
  if (value?.tag.isOctetString() !== true) throw new Error("a part of it has another type");
  return value.value;
}

/** GeneralizedTime as RFC 3161 has it: in UTC, with any number of digits of a second. Milliseconds since the epoch. */
export function timeOf(value: Der | undefined): number {
  const text = value?.tag.toDER() === GENERALIZED_TIME ? value.value.toString("latin1") : "";
  const [, year, month, day, hour, minute, second, fraction = ""] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/.exec(text) ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(at)) throw new Error("its time cannot be read");
  return at + Math.floor(Number(`0${fraction}`) * 1000);
}
