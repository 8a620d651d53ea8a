import { spawn } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import type { Asking } from "../model/context.ts";
import { UserError } from "../model/error.ts";
import { command, say, type Phrase } from "../model/phrase.ts";

/** What signs. */
export interface SigningKey {
  /** Undefined where a program signs: it alone knows. */
  readonly publicKey: KeyObject | undefined;
  /** Names the key in bundles: see keyHint; empty where it is not known. */
  readonly hint: string;
  /** ECDSA: SHA-256, DER. Ed25519: 64 bytes. Throws SigningFailed. */
  sign(bytes: Buffer): Promise<Buffer>;
}

export interface KeyContext {
  readonly signal: AbortSignal;
  readonly ask: Asking;
}

/** In bytes; a key has a few hundred. */
const LARGEST_KEY = 64 << 10;
/** A signature has 64 to 72 bytes. */
const LARGEST_SIGNATURE = 8 << 10;
const ATTEMPTS = 3;
const EXEC = "exec:";

/**
 * The key of --sign-key: a file of PKCS#8 in PEM or DER with an ECDSA P-256 or Ed25519 key, whose passphrase is asked for where it has one,
 * or `exec:PROGRAM`, which is given the bytes to sign on standard input and answers with the signature. Throws KeyUnusable, and a
 * usage error where a passphrase cannot be asked for.
 */
export async function openSigningKey(given: string, context: KeyContext): Promise<SigningKey> {
  if (given.startsWith(EXEC)) return programKey(given.slice(EXEC.length), context.signal);
  const key = await decrypted(given, await keyBytes(given), context);
  const publicKey = createPublicKey(key);
  ensureKnown(given, publicKey);
  const algorithm = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  return { publicKey, hint: keyHint(publicKey), sign: async (bytes) => sign(algorithm, bytes, key) };
}

/** The key of --key: a public key in PEM or DER, or a certificate that has it. Throws KeyUnusable. */
export async function readPublicKey(path: string): Promise<KeyObject> {
  const bytes = await keyBytes(path);
  let key: KeyObject;
  try {
    key = isPem(bytes) ? createPublicKey(bytes) : createPublicKey({ key: bytes, format: "der", type: "spki" });
  } catch (error) {
    throw unusable(
      path,
      "it is not a public key",
      say`use a public key in PEM: ${command`openssl pkey -in KEY -pubout -out ${path}`}`,
      error,
    );
  }
  ensureKnown(path, key);
  return key;
}

/** As cosign names keys in bundles: the base64 of the SHA-256 of the public key in DER. */
export function keyHint(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("base64");
}

/** As people compare keys: `SHA256:` and hexadecimal, of the public key in DER. */
export function fingerprint(hint: string): string {
  return `SHA256:${Buffer.from(hint, "base64").toString("hex")}`;
}

async function keyBytes(path: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST_KEY) throw new Error(`${size} bytes are too many for a key`);
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw unusable(path, message, undefined, error);
    throw new UserError({ reason: "KeyUnusable", message: say`key file ${path} not found`, cause: error, exitCode: 2 });
  }
}

async function decrypted(path: string, bytes: Buffer, { ask }: KeyContext): Promise<KeyObject> {
  const encrypted = isPem(bytes) ? /ENCRYPTED/.test(bytes.toString("latin1")) : undefined;
  if (/-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----/.test(bytes.toString("latin1")))
    throw unusable(path, "it has cosign's own encryption", "use a PKCS#8 key, or sign with: cosign attest-blob");
  if (encrypted !== true) {
    try {
      return privateKey(bytes);
    } catch (error) {
      if (encrypted === false || (error as NodeJS.ErrnoException).code !== "ERR_MISSING_PASSPHRASE") throw notPrivate(path, error);
    }
  }
  if (!ask.possible) {
    throw new UserError({
      reason: "PassphraseNeeded",
      message: say`the key ${path} is encrypted, and its passphrase can only be entered on a terminal`,
      fix: "rerun it on a terminal, use a key without a passphrase, or --sign-key exec:PROGRAM",
      exitCode: 2,
    });
  }
  for (let attempt = 1; ; attempt += 1) {
    const passphrase = await ask.secret(say`Passphrase of ${path}:`);
    try {
      return privateKey(bytes, passphrase);
    } catch (error) {
      if (attempt < ATTEMPTS) continue;
      throw unusable(path, "the passphrase is wrong, or the key is damaged", undefined, error);
    }
  }
}

function privateKey(bytes: Buffer, passphrase?: string): KeyObject {
  const secret = passphrase === undefined ? {} : { passphrase };
  return isPem(bytes)
    ? createPrivateKey({ key: bytes, ...secret })
    : createPrivateKey({ key: bytes, format: "der", type: "pkcs8", ...secret });
}

function isPem(bytes: Buffer): boolean {
  return bytes.includes("-----BEGIN ");
}

function notPrivate(path: string, cause: unknown): UserError {
  const make = command`openssl genpkey -algorithm ed25519 -out ${path}`;
  return unusable(path, "it is not a private key in PKCS#8", say`use a PKCS#8 file, for example of: ${make}`, cause);
}

function ensureKnown(path: string, key: KeyObject): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ed25519" || (type === "ec" && details?.namedCurve === "prime256v1")) return;
  const curve = details?.namedCurve === undefined ? "" : ` (${details.namedCurve})`;
  throw unusable(path, `it is a key for ${type ?? "an unknown algorithm"}${curve}`, "use an ECDSA P-256 or Ed25519 key");
}

function unusable(path: string, why: string, fix?: string | Phrase, cause?: unknown): UserError {
  return new UserError({ reason: "KeyUnusable", message: say`cannot use the key ${path}`, why, fix, cause, exitCode: 2 });
}

/** The program decides what it signs with: a token, a KMS. It is started directly, not by a shell. */
function programKey(program: string, signal: AbortSignal): SigningKey {
  if (program === "")
    throw new UserError({ reason: "KeyUnusable", message: "exec: requires a program", fix: "use --sign-key exec:PROGRAM", exitCode: 2 });
  return { publicKey: undefined, hint: "", sign: async (bytes) => await signedBy(program, bytes, signal) };
}

async function signedBy(program: string, bytes: Buffer, signal: AbortSignal): Promise<Buffer> {
  const failed = (why: string | Phrase, cause?: unknown): UserError =>
    new UserError({ reason: "SigningFailed", message: say`${program} did not sign`, why, cause });
  const child = spawn(program, [], { stdio: ["pipe", "pipe", "pipe"], signal });
  // Where the program ends without reading, its exit status says why.
  child.stdin.on("error", () => undefined);
  child.stdin.end(bytes);
  try {
    const [signature, complaint, [code, killed]] = await Promise.all([
      buffer(child.stdout),
      buffer(child.stderr),
      once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>,
    ]);
    const said = complaint.toString("utf8").trim().slice(0, 1000);
    if (code !== 0) throw failed(`${killed === null ? `exit status ${code}` : `ended by ${killed}`}${said === "" ? "" : `: ${said}`}`);
    if (signature.length === 0) throw failed("it wrote no signature to standard output");
    if (signature.length > LARGEST_SIGNATURE) throw failed(`it wrote ${signature.length} bytes, which is no signature`);
    return signature;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UserError) throw error;
    throw failed((error as Error).message, error);
  }
}
