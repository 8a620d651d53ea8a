import { randomBytes } from "node:crypto";
import { UserError } from "../model/error.ts";
import { nameBytes } from "../model/name.ts";
import { parseFacts, parseListing } from "./listing.ts";
import { nameInUrl } from "./names.ts";
import { BLOCK, nameWord } from "./operations.ts";
import { cut, persistently, type Sink, type Transport } from "./transport.ts";

export { archiveName } from "./names.ts";

/** A hash is silent until it is there: 1 TiB at 100 MB/s. */
const SUM_IDLE_MS = 3 * 3600 * 1000;

export type Codec = "none" | "zstd" | "lzop" | "gzip";

/** A file in the checkpoint directory, as it is at this moment. */
export interface NodeFile {
  /** As nameText writes it: unique. */
  readonly name: string;
  /** The name itself. */
  readonly raw: Buffer;
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
  /** Programs that the image has, of those that make a difference. */
  readonly #tools: readonly string[];

  private constructor(transport: Transport, tools: readonly string[]) {
    this.transport = transport;
    this.#tools = tools;
    this.codecs = ["none", ...(["zstd", "lzop", "gzip"] as const).filter((tool) => tools.includes(tool))];
  }

  static async over(transport: Transport, signal: AbortSignal): Promise<NodeFiles> {
    return new NodeFiles(transport, (await persistently(async () => await transport.ask(["tools"], signal), signal)).split("\n"));
  }

  /** Throws ArchiveNotFound where there is no plain file of that name (a link is none). */
  async stat(name: string, signal: AbortSignal): Promise<NodeFile> {
    const raw = nameBytes(name);
    const [facts = "", now = "", end] = (await this.#ask(["stat", nameWord(raw)], signal)).split("\n");
    return { name, raw, ...parseFacts(facts, now === "" ? undefined : Number(now)), closed: end === "closed" };
  }

  /** All plain files in the directory itself. */
  async list(signal: AbortSignal): Promise<NodeFile[]> {
    return await persistently(async () => parseListing(await this.transport.ask(["list"], signal)), signal);
  }

  /** SHA-256 of the whole file, in hexadecimal, computed on the node. */
  async sha256(name: string, signal: AbortSignal): Promise<string> {
    const [sum = ""] = (await this.#ask(["sum", nameWord(nameBytes(name))], signal, SUM_IDLE_MS)).split(/\s/);
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
      await transport.range({ path: nameInUrl(file.raw), first: offset, last: offset + length - 1, size: file.bytes }, sink, signal);
      return;
    }
    const words = ["chunk", codec, String(offset / BLOCK), String(Math.ceil(length / BLOCK)), nameWord(file.raw)];
    await transport.pour(words, sink, signal, enough);
  }

  /** Exactly these bytes of a file, not encoded. Throws TransferCut, ArchiveChanged. */
  async read(file: NodeFile, offset: number, length: number, signal: AbortSignal): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    // Where only blocks are to be had, those around the bytes.
    const start = this.transport.range === undefined ? Math.floor(offset / BLOCK) * BLOCK : offset;
    const wanted = offset - start + length;
    const enough = new AbortController();
    return await persistently(async () => {
      const pieces: Buffer[] = [];
      let received = 0;
      const sink = (piece: Buffer): undefined => {
        pieces.push(Buffer.from(piece));
        received += piece.length;
        if (received >= wanted) enough.abort();
      };
      await this.pour(file, { offset: start, length: wanted, codec: "none", sink, signal, enough: enough.signal });
      if (received < wanted) throw cut(`${received} of ${wanted} bytes arrived`);
      return Buffer.concat(pieces).subarray(offset - start, wanted);
    }, signal);
  }

  /**
   * The OCI specifications in these archives, as JSON, in their order: undefined where there is none, or the image has no tar.
   * All of them are in memory at once.
   */
  async specs(files: readonly NodeFile[], signal: AbortSignal): Promise<(string | undefined)[]> {
    // Nothing that is in an archive can look like this.
    const mark = randomBytes(16).toString("hex");
    if (!this.#tools.includes("tar")) return files.map(() => undefined);
    return await persistently(async () => {
      const answer = await this.transport.ask(["specs", mark, ...files.map(({ raw }) => nameWord(raw))], signal);
      const parts = answer.split(mark).slice(1);
      if (parts.length !== files.length + 1) throw cut("the answer was cut off");
      return parts.slice(0, -1).map((part) => Buffer.from(part, "latin1").toString("utf8").trim() || undefined);
    }, signal);
  }

  /** What is free on the directory's file system; undefined where the image has no stat. */
  async room(signal: AbortSignal): Promise<Room | undefined> {
    return parseRoom(await this.#ask(["room"], signal));
  }

  /** Answers of an operation that is not about files: its lines. */
  async lines(operation: readonly string[], signal: AbortSignal): Promise<string[]> {
    const text = Buffer.from(await this.#ask(operation, signal), "latin1").toString("utf8");
    return text.split("\n").slice(0, -1);
  }

  async #ask(operation: readonly string[], signal: AbortSignal, idleMs?: number): Promise<string> {
    return await persistently(async () => await this.transport.ask(operation, signal, idleMs), signal);
  }

  /** Throws RemovalFailed. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    const answer = await this.transport.ask(["remove", nameWord(nameBytes(name)), "-"], signal);
    if (answer === "none\n") throw new UserError({ reason: "ArchiveNotFound", message: "the archive is not on the node any more" });
    if (answer !== "gone\n") throw new UserError({ reason: "RemovalFailed", message: "the archive could not be removed from the node" });
  }

  /** Removes files as long as they are what they were when they were listed: what became of each. */
  async removeEach(files: readonly NodeFile[], signal: AbortSignal): Promise<Removal[]> {
    const words = files.flatMap(({ raw, identity }) => [nameWord(raw), identity.includes(" ") ? identity.replaceAll(" ", ".") : "-"]);
    let asked = false;
    return await persistently(async () => {
      const again = asked;
      asked = true;
      const answers = (await this.transport.ask(["remove", ...words], signal)).trimEnd().split("\n");
      if (answers.length !== files.length) throw cut("the answer was cut off");
      // Asked again because the first answer was lost, what is not there any more was removed.
      return answers.map((answer) => (answer === "none" && again ? "gone" : (REMOVALS.find((one) => one === answer) ?? "kept")));
    }, signal);
  }
}

/** "none": it was not there any more; "kept": the node did not let it go. */
export type Removal = (typeof REMOVALS)[number];
const REMOVALS = ["gone", "none", "changed", "kept"] as const;

/** A file system's, in bytes and in files. */
export interface Room {
  readonly freeBytes: number;
  readonly bytes: number;
  readonly freeInodes: number;
  /** 0 where the file system does not count them. */
  readonly inodes: number;
}

/** Of stat -f: free blocks, their size, blocks, free inodes, inodes. */
export function parseRoom(text: string): Room | undefined {
  const [free, size, blocks, freeInodes, inodes] = text.trim().split(" ").map(Number);
  if (free === undefined || size === undefined || blocks === undefined || freeInodes === undefined || inodes === undefined)
    return undefined;
  const room = { freeBytes: free * size, bytes: blocks * size, freeInodes, inodes };
  return Object.values(room).every(Number.isSafeInteger) ? room : undefined;
}
