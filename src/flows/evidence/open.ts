import { appendCustody } from "../../evidence/custody-file.ts";
import type { Context } from "../../model/context.ts";
import type { Copy, Volumes } from "../../model/documents.ts";
import type { PrivateRecords } from "./private-record.ts";
import type { Seal } from "./seal.ts";

/** What of the command line makes evidence of a copy. */
export interface EvidenceOptions {
  /** A file of a private key, or exec:PROGRAM. */
  readonly signKey: string | undefined;
  /** An RFC 3161 authority. */
  readonly timestamp: URL | undefined;
  readonly custody: string | undefined;
  /** age recipients, or @FILE of them. */
  readonly encryptTo?: readonly string[];
  readonly note?: string | undefined;
  /** --yes or --force. */
  readonly replace: boolean;
}

/** The same, ready: the key is open, the files can be written. */
export interface Evidence {
  readonly seal: Seal | undefined;
  readonly custody: string | undefined;
  readonly encryption?: Encryption;
}

/** To whom copies are encrypted. */
export interface Encryption {
  readonly recipients: readonly string[];
  readonly records: PrivateRecords;
}

/** Opens all that can fail before there is anything to seal: asks for the passphrase, tries the custody file. Throws a UserError. */
export async function openEvidence(context: Context, options: EvidenceOptions): Promise<Evidence> {
  const { signKey, timestamp, custody, encryptTo = [], note, replace } = options;
  if (custody !== undefined) await appendCustody(custody, [], context);
  const encryption = encryptTo.length === 0 ? {} : { encryption: await openEncryption(encryptTo) };
  if (signKey === undefined) return { seal: undefined, custody, ...encryption };
  const { openSigningKey } = await import("../../evidence/key.ts");
  const key = await openSigningKey(signKey, context);
  const stamper = timestamp === undefined ? undefined : (await import("../../evidence/authority.ts")).timestamper(timestamp, context);
  return { seal: { key, timestamper: stamper, custody, note, replace }, custody, ...encryption };
}

async function openEncryption(words: readonly string[]): Promise<Encryption> {
  const [{ readRecipients }, { PrivateRecords: Records }] = await Promise.all([
    import("../../age/recipients.ts"),
    import("./private-record.ts"),
  ]);
  const recipients = await readRecipients(words);
  return { recipients, records: new Records(recipients) };
}

/**
 * Writes down what was done with a finished copy, and signs it: after its record has its last line. Answers with the copy and its
 * signature. Throws a UserError; the copy is there then.
 */
export async function sealCopy(
  context: Context,
  { copy, volumes }: { readonly copy: Copy; readonly volumes?: Volumes | undefined },
  action: string,
  { seal, custody }: Evidence,
): Promise<Copy> {
  const { path } = copy;
  if (path === undefined) return copy;
  const sha256 = fileHash(copy);
  const more = volumes === undefined ? [] : [{ action, path: volumes.path, sha256: fileHash(volumes) }];
  if (custody !== undefined) await appendCustody(custody, [{ action, path, sha256 }, ...more], context);
  if (seal === undefined) return copy;
  const { sealFile } = await import("./seal.ts");
  return { ...copy, bundle: await sealFile(context, path, seal, { sha256 }) };
}

/** Of the file as it lies here. */
function fileHash({ sha256, encrypted }: Pick<Copy, "sha256" | "encrypted">): string {
  return encrypted?.sha256 ?? sha256;
}
