import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import type { Connection } from "../../../cluster/connection.ts";
import { cut, persistently } from "../../../helper/transport.ts";
import { openTunnel, type PodName } from "../../../helper/tunnel.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";

/** httpd takes 2 GiB at once; each piece takes a tunnel, which takes its time to open. */
const PIECE = 16 << 20;
/** Pieces under way at once: the tunnel and the answer of one are hidden by another. */
const AT_ONCE = 2;
const LONGEST_ANSWER = 1 << 20;
/** What goes into a frame of the tunnel. */
const FRAME = 256 << 10;
/** What zstd writes at once: less is a trip through the thread pool each, more is much memory for what becomes small. */
const OUTPUT = 256 << 10;
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
   * Sends an archive, or the volumes beside it, in pieces whose SHA-256 the pod answers with. Answers with that of the file, and with what tar
   * says where not all of it could be unpacked. Throws a UserError where a piece did not arrive as it was sent, or the connection is lost.
   */
  async send(
    folder: "archive" | "volumes",
    archive: Sent,
    progress: (sent: number) => void,
  ): Promise<{ readonly sha256: string; readonly failure: string | undefined }> {
    const { codec, bytes } = archive;
    await this.#post(`receive?begin-${folder}-${codec === "none" ? "zstd" : codec}`);
    const file = createHash("sha256");
    const sending: Promise<void>[] = [];
    let done = 0;
    for (let number = 0; number * PIECE < bytes; number += 1) {
      const plain = await archive.read(number * PIECE, Math.min(PIECE, bytes - number * PIECE));
      file.update(plain);
      if (sending.length === AT_ONCE) await sending.shift();
      // What is compressed already is sent as it is.
      const one = this.#piece(number, plain, codec === "none").then(() => progress((done += plain.length)));
      one.catch(() => undefined);
      sending.push(one);
    }
    await Promise.all(sending);
    const answer = (await this.#post("receive?end")).trim();
    return { sha256: file.digest("hex"), failure: answer === "unpacked" ? undefined : answer.slice(0, 300) };
  }

  async #piece(number: number, plain: Buffer, compressed: boolean): Promise<void> {
    const body = compressed ? await compress(plain, { chunkSize: OUTPUT, params: { [constants.ZSTD_c_compressionLevel]: 1 } }) : plain;
    const answer = (await this.#post(`receive?piece-${number}`, body)).trim();
    if (answer !== createHash("sha256").update(body).digest("hex")) throw notReceived(answer);
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

export function notReceived(why: string): UserError {
  return new UserError({
    reason: "ArchiveNotReceived",
    message: say`the archive did not arrive in the sandbox as it was sent; nothing was restored`,
    why: say`${why.slice(0, 300)}`,
    fix: "rerun the command",
  });
}
