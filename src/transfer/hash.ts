import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

const READ = 1024 * 1024;
/** A thread of its own costs some 30 ms: less than this is hashed sooner without. */
const WORTH_A_THREAD = 128 * 1024 * 1024;

/** This thread, and what decompresses and writes for it. */
const BUSY_CORES = 2;

/** SHA-256 of a file from the bytes on the disk, read behind whoever writes it. */
export interface FollowingHash {
  /** Everything before `limit` is on the disk by now. */
  advance(limit: number): void;
  /** In hexadecimal, of all `size` bytes. */
  finish(size: number): Promise<string>;
  /** Whatever becomes of the copy. */
  stop(): Promise<void>;
}

/** For a file that will have so many bytes. */
export function followingHash(file: FileHandle, bytes: number): FollowingHash {
  return bytes >= WORTH_A_THREAD && availableParallelism() > BUSY_CORES ? besideThis(file) : inThisThread(file);
}

export function inThisThread(file: FileHandle): FollowingHash {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(READ);
  let at = 0;
  let limit = 0;
  let busy = false;
  let reading: Promise<void> = Promise.resolve();
  const read = async (): Promise<void> => {
    while (at < limit) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(READ, limit - at), at);
      if (bytesRead === 0) throw new Error("the file is shorter than what was written to it");
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  };
  return {
    advance(there) {
      limit = Math.max(limit, there);
      if (busy || limit - at < READ) return;
      busy = true;
      reading = read().finally(() => (busy = false));
      reading.catch(() => undefined);
    },
    async finish(size) {
      await reading;
      limit = size;
      await read();
      return hash.digest("hex");
    },
    stop: async () => await reading.catch(() => undefined),
  };
}

/** What the thread runs: a text, so that it is there in the single executable too. It reads the file by the descriptor that is open here. */
const THREAD = `
const { createHash } = require("node:crypto");
const { readSync } = require("node:fs");
const { parentPort, workerData: { fd, READ } } = require("node:worker_threads");
const hash = createHash("sha256");
const buffer = Buffer.allocUnsafeSlow(READ);
let at = 0;
parentPort.on("message", ({ limit, last }) => {
  while (at < limit) {
    const count = readSync(fd, buffer, 0, Math.min(READ, limit - at), at);
    if (count === 0) throw new Error("the file is shorter than what was written to it");
    hash.update(buffer.subarray(0, count));
    at += count;
  }
  if (last) parentPort.postMessage(hash.digest("hex"));
});
`;

export function besideThis(file: FileHandle): FollowingHash {
  const thread = new Worker(THREAD, {
    eval: true,
    workerData: { fd: file.fd, READ },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  promise.catch(() => undefined);
  thread.once("message", resolve).once("error", reject);
  thread.once("exit", () => reject(new Error("the thread that hashes has ended")));
  let sent = 0;
  return {
    advance(limit) {
      if (limit - sent < READ) return;
      sent = limit;
      thread.postMessage({ limit, last: false }, []);
    },
    async finish(size) {
      thread.postMessage({ limit: size, last: true }, []);
      return await promise;
    },
    stop: async () => void (await thread.terminate()),
  };
}
