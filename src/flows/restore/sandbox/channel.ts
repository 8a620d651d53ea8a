import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import type { Connection } from "../../../cluster/connection.ts";
import { cut, persistently } from "../../../helper/transport.ts";
import { openTunnel, type PodName } from "../../../helper/tunnel.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";

/** httpd takes 2 GiB at once; smaller pieces are compressed while others travel, and each takes a tunnel, which takes its time to open. */
const PIECE = 32 << 20;
const LONGEST_ANSWER = 1 << 20;
/** What goes into a frame of the tunnel. */
const FRAME = 64 << 10;
const compress = promisify(zstdCompress);

/** An archive's bytes in order, compressed as they are in its file. */
export interface Sent {
  readonly codec: "none" | "gzip" | "zstd";
  readonly bytes: number;
  read(offset: number, length: number): Promise<Buffer>;
}

/** Requests to the entry point of a sandbox pod, each through a tunnel of its own to the pod's loopback. */
export class SandboxChannel {
  readonly #connection: Connection;
  readonly #pod: PodName;
  readonly #port: number;
  readonly #signal: AbortSignal;

  constructor(connection: Connection, pod: PodName, port: number, signal: AbortSignal) {
    this.#connection = connection;
    this.#pod = pod;
    this.#port = port;
    this.#signal = signal;
  }

  /** Until it answers: httpd starts a moment after its container. */
  async ready(): Promise<void> {
    await persistently(async () => await this.#post("receive?nothing"), this.#signal);
  }

  /**
   * Sends an archive, and compares the SHA-256 of what arrived with that of what was sent. Answers with that of the file. Throws a
   * UserError where they differ, or the connection is lost.
   */
  async send(archive: Sent, progress: (sent: number) => void): Promise<string> {
    const { codec, bytes } = archive;
    await this.#post(`receive?begin-${codec === "none" ? "zstd" : codec}`);
    const file = createHash("sha256");
    // What is compressed already is sent as it is.
    const sent = codec === "none" ? createHash("sha256") : file;
    const piece = async (at: number): Promise<Buffer | undefined> => {
      if (at >= bytes) return undefined;
      const plain = await archive.read(at, Math.min(PIECE, bytes - at));
      file.update(plain);
      return codec === "none" ? await compress(plain, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }) : plain;
    };
    let next = piece(0);
    for (let at = 0; at < bytes; at += PIECE) {
      const body = await next;
      if (body === undefined) break;
      next = piece(at + PIECE);
      next.catch(() => undefined);
      if (sent !== file) sent.update(body);
      await this.#post("receive?piece", body);
      progress(Math.min(bytes, at + PIECE));
    }
    const answer = (await this.#post("receive?end")).trim();
    const digest = sent.digest("hex");
    if (answer === digest) return sent === file ? digest : file.digest("hex");
    throw new UserError({
      reason: "ArchiveNotReceived",
      message: say`the archive did not arrive in the sandbox as it was sent; nothing was restored`,
      why: say`${answer.slice(0, 300)}`,
      fix: "rerun the command",
    });
  }

  /** Sends the plan; answers with what became of the restore: "restored", or "failed STATUS" and lines of CRIU's log. */
  async go(plan: Buffer): Promise<string[]> {
    return (await this.#post("go", plan)).split("\n").filter((line) => line !== "");
  }

  /** The answer, up to its last line, which proves that it is whole. httpd closes the connection a second after that. */
  async #post(operation: string, body: Buffer = Buffer.alloc(0)): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let text = "";
    const aborted = (): void => reject(this.#signal.reason as Error);
    this.#signal.throwIfAborted();
    this.#signal.addEventListener("abort", aborted, { once: true });
    const opening = openTunnel(this.#connection, this.#pod, this.#port, {
      data(piece) {
        text += piece.toString("utf8");
        if (text.endsWith("end\n")) resolve(text);
        else if (text.length > LONGEST_ANSWER) reject(cut("the sandbox's answer is too long"));
        return true;
      },
      ended: (error) => reject(error ?? cut(`the sandbox's answer ended after ${text.length} bytes`)),
    });
    try {
      const tunnel = await opening;
      tunnel.send(Buffer.from(`POST /cgi-bin/${operation} HTTP/1.1\r\nHost: sandbox\r\nContent-Length: ${body.length}\r\n\r\n`));
      for (let at = 0; at < body.length; at += FRAME) tunnel.send(body.subarray(at, at + FRAME));
      const answer = await promise;
      const [head = "", rest = ""] = answer.split(/\r?\n\r?\n(.*)/s);
      if (!/^HTTP\/1\.[01] 200 /.test(head)) throw cut(`the sandbox answered ${head.slice(0, 100)}`);
      return rest.slice(0, -"end\n".length);
    } finally {
      this.#signal.removeEventListener("abort", aborted);
      promise.catch(() => undefined);
      opening.then((tunnel) => tunnel.destroy()).catch(() => undefined);
    }
  }
}
