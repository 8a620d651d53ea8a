import { UserError } from "../model/error.ts";
import { BLOCK, octal } from "./script.ts";
import { cut, persistently, type Sink, type Transport } from "./transport.ts";

/** A hash is silent until it is there: 1 TiB at 100 MB/s. */
const SUM_IDLE_MS = 3 * 3600 * 1000;

export type Codec = "none" | "zstd" | "lzop" | "gzip";

/** A file in the checkpoint directory, as it is at this moment. */
export interface NodeFile {
  readonly name: string;
  readonly bytes: number;
  /** Tells one state of the file from another: size, and time and inode where the image has stat. */
  readonly identity: string;
  /** Seconds since the epoch by the node's clock; undefined where the image has no stat. */
  readonly modifiedAt?: number;
  /** Seconds since it was last changed, by the node's own clock; undefined where the image has no stat or date. */
  readonly age?: number;
  /** Whether it ends with two zero blocks, as a finished archive does. */
  readonly closed: boolean;
}

/** A piece of a file: in bytes, encoded on the way. */
export interface PieceRequest {
  readonly offset: number;
  readonly length: number;
  readonly codec: Codec;
  readonly sink: Sink;
  readonly signal: AbortSignal;
  readonly enough: AbortSignal;
}

/** The files of one node's checkpoint directory, whatever way they are reached. */
export class NodeFiles {
  readonly transport: Transport;
  /** What the image can compress with; "none" is always among them. */
  readonly codecs: readonly Codec[];

  private constructor(transport: Transport, codecs: readonly Codec[]) {
    this.transport = transport;
    this.codecs = codecs;
  }

  static async over(transport: Transport, signal: AbortSignal): Promise<NodeFiles> {
    const tools = (await persistently(async () => await transport.ask(["tools"], signal), signal)).split("\n");
    return new NodeFiles(transport, ["none", ...(["zstd", "lzop", "gzip"] as const).filter((tool) => tools.includes(tool))]);
  }

  /** Throws ArchiveNotFound where there is no plain file of that name (a link is none). */
  async stat(name: string, signal: AbortSignal): Promise<NodeFile> {
    const [facts = "", now = "", end] = (await this.#ask(["stat", octal(name)], signal)).split("\n");
    const [, size, modified] = /^(\d{1,15})(?: (\d{1,12}) \d+)?$/.exec(facts) ?? [];
    if (size === undefined) throw cut("the size of the file cannot be read");
    const [bytes, modifiedAt] = [Number(size), modified === undefined ? undefined : Number(modified)];
    const times = modifiedAt === undefined ? {} : { modifiedAt, ...(now === "" ? {} : { age: Number(now) - modifiedAt }) };
    return { name, bytes, identity: facts, closed: end === "closed", ...times };
  }

  /** SHA-256 of the whole file, in hexadecimal, computed on the node. */
  async sha256(name: string, signal: AbortSignal): Promise<string> {
    const [sum = ""] = (await this.#ask(["sum", octal(name)], signal, SUM_IDLE_MS)).split(/\s/);
    if (!/^[0-9a-f]{64}$/.test(sum)) throw cut("the hash of the file cannot be read");
    return sum;
  }

  /**
   * Pours `length` bytes from `offset` into the sink, encoded with the codec. Both are multiples of BLOCK, or end with the
   * file. Whoever has decoded all of it says so with `enough`. Throws TransferCut or ArchiveChanged; an encoded stream that ends
   * too early only its decoder can tell.
   */
  async pour(file: NodeFile, { offset, length, codec, sink, signal, enough }: PieceRequest): Promise<void> {
    const { transport } = this;
    if (codec === "none" && transport.range !== undefined) {
      await transport.range(
        { path: encodeURIComponent(file.name), first: offset, last: offset + length - 1, size: file.bytes },
        sink,
        signal,
      );
      return;
    }
    const words = ["chunk", codec, String(offset / BLOCK), String(Math.ceil(length / BLOCK)), octal(file.name)];
    await transport.pour(words, sink, signal, enough);
  }

  async #ask(operation: readonly string[], signal: AbortSignal, idleMs?: number): Promise<string> {
    return await persistently(async () => await this.transport.ask(operation, signal, idleMs), signal);
  }

  /** Throws RemovalFailed. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.transport.ask(["remove", octal(name)], signal);
  }
}

/** The file name of an archive: given as such, or as its full path in the checkpoint directory. Throws ArchiveNameInvalid. */
export function archiveName(given: string, checkpointDir: string): string {
  const directory = checkpointDir.endsWith("/") ? checkpointDir : `${checkpointDir}/`;
  const name = given.startsWith(directory) ? given.slice(directory.length) : given;
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw new UserError({
      reason: "ArchiveNameInvalid",
      message: `"${given}" is not an archive in ${checkpointDir}`,
      fix: "give its file name, or its full path there",
      exitCode: 2,
    });
  }
  return name;
}
