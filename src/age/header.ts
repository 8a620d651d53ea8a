import { Decrypter, Encrypter, type Recipient } from "age-encryption";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";

/** What an age file begins with: https://c2sp.org/age */
export const MAGIC = "age-encryption.org/v1\n";
const ARMOR = "-----BEGIN AGE ENCRYPTED FILE-----";
/** In bytes: hundreds of recipients fit. */
const LARGEST_HEADER = 1 << 20;
/** The line that ends a header; its MAC has 43 characters. */
const END = /\n--- [A-Za-z0-9+/]{43}\n/;

/** What follows it is encrypted with keys that are made of the file key, 16 bytes. */
export interface Header {
  readonly bytes: Buffer;
  readonly fileKey: Buffer;
}

/** Throws a usage error where it is not a recipient as age-keygen prints them. */
export function checkRecipient(recipient: string): void {
  try {
    new Encrypter().addRecipient(recipient);
  } catch (error) {
    throw new UserError({
      reason: "Usage",
      message: say`invalid value "${recipient}" for --encrypt-to: use a recipient that begins with age1, as age-keygen prints it, or @FILE`,
      why: /^(age1(?!pq1)[a-z0-9]+1|ssh-)/.test(recipient)
        ? "recipients of plugins and SSH keys are not supported"
        : (error as Error).message,
      cause: error,
      exitCode: 2,
    });
  }
}

/** A header of a new file for these recipients: each of them alone can open it. */
export async function newHeader(recipients: readonly string[]): Promise<Header> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  let fileKey: Buffer | undefined;
  // The library gives every recipient the key; this one keeps it, and adds nothing to the header.
  const keeper: Recipient = {
    wrapFileKey: (key) => {
      fileKey = Buffer.from(key);
      return [];
    },
  };
  encrypter.addRecipient(keeper);
  const bytes = headerIn(Buffer.from(await encrypter.encrypt(new Uint8Array())));
  if (bytes === undefined || fileKey === undefined) throw new Error("age-encryption wrote no header");
  return { bytes, fileKey };
}

/** The header that the first bytes of a file have; undefined where it is not there whole. */
export function headerIn(start: Buffer): Buffer | undefined {
  const text = start.subarray(0, LARGEST_HEADER).toString("latin1");
  const end = END.exec(text);
  return !text.startsWith(MAGIC) || end === null ? undefined : start.subarray(0, end.index + end[0].length);
}

/** Whether the first bytes are those of an age file. Throws where it is one in ASCII armor. */
export function isAge(start: Buffer, label: string): boolean {
  const text = start.toString("latin1");
  if (ARMOR.startsWith(text.slice(0, ARMOR.length)) && text.length >= 8) {
    throw new UserError({
      reason: "AgeArmored",
      message: say`${label} is an age file in ASCII armor, whose parts cannot be read by themselves`,
      fix: "encrypt it without --armor",
    });
  }
  return MAGIC.startsWith(text.slice(0, MAGIC.length)) && text.length >= 8;
}

/** What opens a header. */
export type Unlocking = { readonly identities: readonly string[] } | { readonly passphrase: string };

/** The file key; undefined where it is for somebody else, or the passphrase is wrong. Throws where the header is damaged. */
export async function openHeader(header: Buffer, unlocking: Unlocking): Promise<Buffer | undefined> {
  const decrypter = new Decrypter();
  if ("passphrase" in unlocking) decrypter.addPassphrase(unlocking.passphrase);
  else for (const identity of unlocking.identities) decrypter.addIdentity(identity);
  try {
    return Buffer.from(await decrypter.decryptHeader(header));
  } catch (error) {
    if (/no identity matched/.test((error as Error).message)) return undefined;
    throw error;
  }
}

/** Whether a passphrase opens it. */
export function takesPassphrase(header: Buffer): boolean {
  return /^-> scrypt /m.test(header.toString("latin1"));
}
