import { randomBytes, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as SecureAgent, request as httpsRequest } from "node:https";
import { buffer } from "node:stream/consumers";
import { UserError } from "../model/error.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { Timestamper } from "./sign.ts";
import { readTimestamp, timestampRequest, withPlainStatus } from "./timestamp.ts";

const TIMEOUT_MS = 30_000;
/** In bytes; an answer has some thousand. */
const LARGEST_ANSWER = 1 << 20;

/** Asks a timestamp authority for the time of a signature: RFC 3161, 3.4. Throws TimestampFailed. */
export function timestamper(url: URL, { signal, env }: { readonly signal: AbortSignal; readonly env: NodeJS.ProcessEnv }): Timestamper {
  return async (signature) => {
    const failed = (why: string | Phrase, cause?: unknown): UserError =>
      new UserError({
        reason: "TimestampFailed",
        message: say`no timestamp from ${url.host}`,
        why,
        fix: "rerun it later, or use another authority",
        cause,
      });
    const nonce = randomBytes(8).readBigUInt64BE();
    try {
      const response = withPlainStatus(await post(url, timestampRequest(signature, nonce), signal, env));
      const timestamp = readTimestamp(response, signature);
      if (timestamp.nonce !== nonce) throw new Error("its answer belongs to another request");
      return response;
    } catch (error) {
      signal.throwIfAborted();
      throw failed((error as Error).message, error);
    }
  };
}

async function post(url: URL, body: Buffer, signal: AbortSignal, env: NodeJS.ProcessEnv): Promise<Buffer> {
  const isSecure = url.protocol === "https:";
  // Proxies by the environment; older versions of Node.js connect directly.
  const agent = new (isSecure ? SecureAgent : Agent)({ proxyEnv: env });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const headers = { "content-type": "application/timestamp-query", accept: "application/timestamp-reply", "content-length": body.length };
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = (isSecure ? httpsRequest : httpRequest)(url, { method: "POST", headers, agent, signal: limit }, resolve);
      request.on("error", reject);
      request.end(body);
    });
    if (response.statusCode !== 200) throw new Error(`it answered with HTTP status ${response.statusCode}`);
    const type = response.headers["content-type"] ?? "no type";
    if (!/^application\/timestamp-reply\b/i.test(type)) throw new Error(`it answered with ${type}, not application/timestamp-reply`);
    let size = 0;
    response.on("data", (piece: Buffer) => {
      size += piece.length;
      if (size > LARGEST_ANSWER) response.destroy(new Error("its answer is too long"));
    });
    return await buffer(response);
  } catch (error) {
    if (limit.aborted && !signal.aborted) throw new Error(`no answer within ${TIMEOUT_MS / 1000} s`, { cause: error });
    throw error;
  } finally {
    agent.destroy();
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of --timestamp-ca: PEM, any number. Throws AuthorityUnusable. */
export async function readAuthorities(path: string): Promise<X509Certificate[]> {
  const unusable = (why: string, cause?: unknown): UserError =>
    new UserError({ reason: "AuthorityUnusable", message: say`cannot use the certificates of ${path}`, why, cause, exitCode: 2 });
  try {
    const found = ((await readFile(path, "latin1")).match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));
    if (found.length === 0) throw unusable("it has no certificate in PEM");
    return found;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw unusable((error as Error).message, error);
  }
}
