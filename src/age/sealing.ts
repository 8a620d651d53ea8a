import { randomBytes } from "node:crypto";
import { Worker } from "node:worker_threads";
import type { Header } from "./header.ts";
import { CHUNK, NONCE, payloadKey, TAG } from "./payload.ts";

/** What an age file is made of while its plain bytes come, and what is known of it in the end. */
export interface Sealing {
  /** The page's memory, all of it, is another thread's from now on. Where this answers with a promise, no more are taken until that has settled. */
  write(page: Buffer): Promise<void> | undefined;
  /** After the last page. Rejects with what writing met. */
  finish(): Promise<Sealed>;
  /** Whatever becomes of it. */
  stop(): Promise<void>;
}

export interface Sealed {
  /** Of the plain bytes, in hexadecimal. */
  readonly plainSha256: string;
  /** Of the age file. */
  readonly bytes: number;
  readonly sha256: string;
}

/** Pages that the thread has not taken yet. */
const UNDER_WAY = 8;

/**
 * What the thread runs: a text, so that it is there in the single executable too. It encrypts as payload.ts does, hashes both, and writes by
 * the descriptor that is open here. A full chunk is kept until more follows: only then it is not the last one.
 */
const THREAD = `
const { createCipheriv, createHash } = require("node:crypto");
const { writeSync } = require("node:fs");
const { parentPort, workerData: { fd, start, key, CHUNK, TAG } } = require("node:worker_threads");
const plain = createHash("sha256");
const sealed = createHash("sha256");
const held = Buffer.allocUnsafeSlow(CHUNK);
const out = Buffer.allocUnsafeSlow(17 * (CHUNK + TAG));
let at = 0, filled = 0, index = 0, gathered = 0;
const flush = (bytes) => {
  sealed.update(bytes);
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
  at += bytes.length;
};
const seal = (chunk, isLast) => {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG });
  if (gathered + chunk.length + TAG > out.length) { flush(out.subarray(0, gathered)); gathered = 0; }
  const encrypted = cipher.update(chunk);
  gathered += encrypted.copy(out, gathered);
  // Freed at once: left to the garbage collector, every chunk would get memory that the processor has not in its cache.
  if (encrypted.buffer.byteLength === encrypted.length) encrypted.buffer.transfer(0);
  cipher.final();
  gathered += cipher.getAuthTag().copy(out, gathered);
  index += 1;
};
const take = (page) => {
  plain.update(page);
  for (let used = 0; used < page.length;) {
    if (filled === CHUNK) { seal(held, false); filled = 0; }
    if (filled === 0) for (; page.length - used > CHUNK; used += CHUNK) seal(page.subarray(used, used + CHUNK), false);
    const count = Math.min(CHUNK - filled, page.length - used);
    page.copy(held, filled, used, used + count);
    filled += count;
    used += count;
  }
};
let failed = false;
const orFailed = (work) => {
  if (failed) return;
  try { work(); } catch (error) { failed = true; parentPort.postMessage({ error: { code: error.code, message: error.message } }); }
};
orFailed(() => flush(Buffer.from(start)));
parentPort.on("message", ({ page, begin, length, last }) => orFailed(() => {
  if (page !== undefined) { take(Buffer.from(page, begin, length)); parentPort.postMessage({ page }, [page]); }
  if (!last) return;
  seal(held.subarray(0, filled), true);
  flush(out.subarray(0, gathered));
  parentPort.postMessage({ sealed: { plainSha256: plain.digest("hex"), bytes: at, sha256: sealed.digest("hex") } });
}));
`;

/** What the thread answers: a page that is used up, how it ended, or what it met. */
interface Answer {
  readonly page?: ArrayBuffer;
  readonly sealed?: Sealed;
  readonly error?: { readonly code?: string; readonly message: string };
}

/** Encrypts, hashes and writes in a thread of its own, to the open file `fd` from its beginning. `spare` gets the memory of used pages back. */
export function sealingThread(fd: number, { bytes, fileKey }: Header, spare: Buffer[] = []): Sealing {
  const nonce = randomBytes(NONCE);
  const thread = new Worker(THREAD, {
    eval: true,
    workerData: { fd, start: Buffer.concat([bytes, nonce]), key: payloadKey(fileKey, nonce), CHUNK, TAG },
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<Sealed>();
  ended.catch(() => undefined);
  let underWay = 0;
  let wake: (() => void) | undefined;
  thread.on("message", ({ page, sealed, error }: Answer) => {
    if (page !== undefined) {
      underWay -= 1;
      spare.push(Buffer.from(page));
      if (underWay < UNDER_WAY / 2) wake?.();
    }
    if (sealed !== undefined) resolve(sealed);
    if (error !== undefined) reject(Object.assign(new Error(error.message), error));
  });
  thread.once("error", reject).once("exit", () => reject(new Error("the thread that encrypts has ended")));
  return {
    write(page) {
      underWay += 1;
      const { buffer, byteOffset: begin, length } = page;
      thread.postMessage({ page: buffer, begin, length, last: false }, [buffer as ArrayBuffer]);
      if (underWay < UNDER_WAY) return undefined;
      const free = new Promise<void>((go) => (wake = go));
      return Promise.race([free, ended]).then(() => undefined);
    },
    async finish() {
      thread.postMessage({ last: true }, []);
      return await ended;
    },
    stop: async () => void (await thread.terminate()),
  };
}
