import { appendCustody } from "../../evidence/custody-file.ts";
import type { Context } from "../../model/context.ts";
import type { Copy } from "../../model/documents.ts";
import type { Seal } from "./seal.ts";

/** What of the command line makes evidence of a copy. */
export interface EvidenceOptions {
  /** A file of a private key, or exec:PROGRAM. */
  readonly signKey: string | undefined;
  /** An RFC 3161 authority. */
  readonly timestamp: URL | undefined;
  readonly custody: string | undefined;
  readonly note?: string | undefined;
  /** --yes or --force. */
  readonly replace: boolean;
}

/** The same, ready: the key is open, the files can be written. */
export interface Evidence {
  readonly seal: Seal | undefined;
  readonly custody: string | undefined;
}

/** Opens all that can fail before there is anything to seal: asks for the passphrase, tries the custody file. Throws a UserError. */
export async function openEvidence(context: Context, options: EvidenceOptions): Promise<Evidence> {
  const { signKey, timestamp, custody, note, replace } = options;
  if (custody !== undefined) await appendCustody(custody, [], context);
  if (signKey === undefined) return { seal: undefined, custody };
  const { openSigningKey } = await import("../../evidence/key.ts");
  const key = await openSigningKey(signKey, context);
  const stamper = timestamp === undefined ? undefined : (await import("../../evidence/authority.ts")).timestamper(timestamp, context);
  return { seal: { key, timestamper: stamper, custody, note, replace }, custody };
}

/**
 * Writes down what was done with a finished copy, and signs it: after its record has its last line. Answers with the copy and its
 * signature. Throws a UserError; the copy is there then.
 */
export async function sealCopy(context: Context, copy: Copy, action: string, { seal, custody }: Evidence): Promise<Copy> {
  const { path, sha256 } = copy;
  if (path === undefined) return copy;
  if (custody !== undefined) await appendCustody(custody, [{ action, path, sha256 }], context);
  if (seal === undefined) return copy;
  const { sealFile } = await import("./seal.ts");
  return { ...copy, bundle: await sealFile(context, path, seal, { sha256 }) };
}
