import type { KeyObject } from "node:crypto";
import { bundleFromJSON, bundleToJSON, toDSSEBundle, type BundleWithDsseEnvelope } from "@sigstore/bundle";
import { Verifier, toSignedEntity } from "@sigstore/verify";
import { object, type Json } from "../model/json.ts";
import { PAYLOAD_TYPE, parseStatement, type Statement } from "./statement.ts";

/** A Sigstore bundle with a signed statement. Format: https://docs.sigstore.dev/about/bundle/ */
export interface SignedStatement {
  readonly statement: Statement;
  /** Of the key, as cosign has it; empty where the signer did not say. */
  readonly hint: string;
  readonly signature: Buffer;
  /** RFC 3161 responses, DER. */
  readonly timestamps: readonly Buffer[];
  /** Whether the key of this public key has signed it. */
  isSignedBy(publicKey: KeyObject): boolean;
}

/**
 * Reads a bundle strictly: every byte of it counts. Answers with what is wrong with it, a clause, where it is no bundle, has anything in
 * it that the format does not have, or its content is no statement signed by a key.
 */
export function readBundle(text: string): SignedStatement | string {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  let bundle: ReturnType<typeof bundleFromJSON>;
  try {
    bundle = bundleFromJSON(given);
  } catch (error) {
    return `it is not a Sigstore bundle: ${(error as Error).message}`;
  }
  const unknown = notIn(given, bundleToJSON(bundle), "");
  if (unknown !== undefined) return `it has a field that is altered or unknown: ${unknown}`;
  const { content, verificationMaterial } = bundle;
  if (content.$case !== "dsseEnvelope") return "it signs a file directly; only signed statements can be verified";
  if (verificationMaterial.content.$case !== "publicKey") return "it is signed with a certificate; only keys can be verified";
  const { payload, payloadType, signatures } = content.dsseEnvelope;
  const [signature, ...others] = signatures;
  if (signature === undefined || others.length > 0) return `it has ${signatures.length} signatures in place of one`;
  const statement = payloadType === PAYLOAD_TYPE ? parseStatement(payload.toString("utf8")) : undefined;
  if (statement === undefined) return "it does not contain an in-toto statement about files";
  const { hint } = verificationMaterial.content.publicKey;
  return {
    statement,
    hint,
    signature: signature.sig,
    timestamps: (verificationMaterial.timestampVerificationData?.rfc3161Timestamps ?? []).map(({ signedTimestamp }) => signedTimestamp),
    isSignedBy: (publicKey) => isSigned({ payload, payloadType, signature: signature.sig, hint }, publicKey),
  };
}

/** Without timestamps and logs, which are looked at elsewhere. */
function isSigned(
  { payload, payloadType, signature, hint }: { payload: Buffer; payloadType: string; signature: Buffer; hint: string },
  publicKey: KeyObject,
): boolean {
  const bare: BundleWithDsseEnvelope = toDSSEBundle({ artifact: payload, artifactType: payloadType, signature, keyHint: hint });
  const trusted = { publicKey, validFor: () => true };
  const none = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const verifier = new Verifier({ ...none, publicKey: () => trusted }, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });
  try {
    verifier.verify(toSignedEntity(bare));
    return true;
  } catch {
    return false;
  }
}

/** The first value that was given and is not so in what was understood of it; its path. */
function notIn(given: unknown, understood: unknown, path: string): string | undefined {
  if (typeof given !== "object" || given === null) return given === understood ? undefined : path;
  const there: Json = object(understood);
  if (Array.isArray(given) !== Array.isArray(understood)) return path;
  for (const [name, value] of Object.entries(given)) {
    const found = notIn(value, there[name], path === "" ? name : `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
