import { randomBytes } from "node:crypto";
import { UserError } from "../model/error.ts";
import { location, nodeArchive, type NodeArchive } from "../model/location.ts";
import { nameBytes } from "../model/name.ts";
import { say } from "../model/phrase.ts";
import { parseFacts, parseListing, parseRoom, type NodeFile, type Room } from "./listing.ts";
import { archiveName, nameInUrl } from "./names.ts";
import { BLOCK, nameWord } from "./operations.ts";
import { cut, persistently, type Sink, type Transport } from "./transport.ts";
import type { PodName } from "./tunnel.ts";

/** A hash is silent until it is there: 1 TiB at 100 MB/s. */
const SUM_IDLE_MS = 3 * 3600 * 1000;

export type Codec = "none" | "zstd" | "lzop" | "gzip";

/** A running helper pod, as long as it is held. */
export interface Helper {
  readonly pod: PodName & {
    /** As the runtime resolved it: name@sha256:…; empty where it did not say. */
    readonly imageID: string;
  };
  readonly transport: Transport;
  /** Programs that its image has, of those that make a difference. */
  readonly tools: readonly string[];
  /** Aborted where the command is, or where the pod is lost. */
  readonly signal: AbortSignal;
}

/**
 * A share in a helper pod: it starts when it is first asked for, and is gone when its last holder lets go. Asked for again, one that was
 * lost is replaced, and one that a passing error kept from starting is tried again.
 */
export interface Lease extends AsyncDisposable {
  helper(): Promise<Helper>;
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

/** What became of a file that was to be removed. "none": it was not there any more; "kept": the node did not let it go. */
export type Removal = (typeof REMOVALS)[number];
const REMOVALS = ["gone", "none", "changed", "kept"] as const;

/**
 * A directory of a node, its files by name: the kubelet's checkpoint directory, where nothing else is said. What it does, it does through a
 * helper pod, which starts with the first use and ends when the directory is let go.
 */
export class NodeDirectory implements AsyncDisposable {
  readonly node: string;
  /** Absolute, on the node. */
  readonly path: string;
  readonly #lease: Lease;

  constructor(node: string, path: string, lease: Lease) {
    this.node = node;
    this.path = path;
    this.#lease = lease;
  }

  /** Its helper pod, once it runs. Throws a UserError where it cannot. */
  async ready(): Promise<Helper> {
    return await this.#lease.helper();
  }

  /** Starts the helper pod beside something else. Why it does not start is thrown where it is needed. */
  start(): void {
    this.ready().catch(() => undefined);
  }

  /** The name here of a file that is given by its name or its full path. Throws ArchiveNameInvalid. */
  nameOf(given: string): string {
    return archiveName(given, this.path);
  }

  archive(name: string): NodeArchive {
    return nodeArchive(this.node, `${this.path}/${name}`);
  }

  /** What the image can compress with; "none" is always among them. */
  async codecs(): Promise<readonly Codec[]> {
    const { tools } = await this.ready();
    return ["none", ...(["zstd", "lzop", "gzip"] as const).filter((tool) => tools.includes(tool))];
  }

  /** Throws ArchiveNotFound where there is no plain file of that name (a link is none). */
  async stat(name: string): Promise<NodeFile> {
    const raw = nameBytes(name);
    const [facts = "", now = "", end] = (await this.#ask(["stat", nameWord(raw)])).split("\n");
    return { name, raw, ...parseFacts(facts, now === "" ? undefined : Number(now)), closed: end === "closed" };
  }

  /** All plain files in the directory itself. */
  async list(): Promise<NodeFile[]> {
    const { transport, signal } = await this.ready();
    return await persistently(async () => parseListing(await transport.ask(["list"], signal)), signal);
  }

  /** SHA-256 of the whole file, in hexadecimal, computed on the node, and the file's identity afterwards. */
  async sha256(name: string): Promise<{ readonly sha256: string; readonly identity: string }> {
    const [sum = "", facts = ""] = (await this.#ask(["sum", nameWord(nameBytes(name))], SUM_IDLE_MS)).split("\n");
    const [sha256 = ""] = sum.split(" ");
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw cut("the hash of the file cannot be read");
    return { sha256, identity: parseFacts(facts, undefined).identity };
  }

  /**
   * Pours `length` bytes from `offset` into the sink, encoded with the codec. Both are multiples of BLOCK, or end with the
   * file. Whoever has decoded all of it says so with `enough`. Throws TransferCut or ArchiveChanged; an encoded stream that ends
   * too early only its decoder can tell.
   */
  async pour(file: NodeFile, request: PieceRequest): Promise<void> {
    const { offset, length, codec, sink, enough } = request;
    const { transport, signal: own } = await this.ready();
    const signal = request.signal === own ? own : AbortSignal.any([own, request.signal]);
    if (codec === "none" && transport.range !== undefined) {
      await transport.range({ path: nameInUrl(file.raw), first: offset, last: offset + length - 1, size: file.bytes }, sink, signal);
      return;
    }
    const words = ["chunk", codec, String(offset / BLOCK), String(Math.ceil(length / BLOCK)), nameWord(file.raw)];
    await transport.pour(words, sink, signal, enough);
  }

  /** Exactly these bytes of a file, not encoded. Throws TransferCut, ArchiveChanged. */
  async read(file: NodeFile, offset: number, length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    const { transport, signal } = await this.ready();
    // Where only blocks are to be had, those around the bytes.
    const start = transport.range === undefined ? Math.floor(offset / BLOCK) * BLOCK : offset;
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
  async specs(files: readonly NodeFile[]): Promise<(string | undefined)[]> {
    const { transport, tools, signal } = await this.ready();
    if (!tools.includes("tar")) return files.map(() => undefined);
    // Nothing that is in an archive can look like this.
    const mark = randomBytes(16).toString("hex");
    return await persistently(async () => {
      const answer = await transport.ask(["specs", mark, ...files.map(({ raw }) => nameWord(raw))], signal);
      const parts = answer.split(mark).slice(1);
      if (parts.length !== files.length + 1) throw cut("the answer was cut off");
      return parts.slice(0, -1).map((part) => Buffer.from(part, "latin1").toString("utf8").trim() || undefined);
    }, signal);
  }

  /** What is free on the directory's file system; undefined where the image has no stat. */
  async room(): Promise<Room | undefined> {
    return parseRoom(await this.#ask(["room"]));
  }

  /** Answers of an operation that is not about files: its lines. */
  async lines(operation: readonly string[]): Promise<string[]> {
    const text = Buffer.from(await this.#ask(operation), "latin1").toString("utf8");
    return text.split("\n").slice(0, -1);
  }

  /** Throws RemovalFailed, and ArchiveNotFound where it is not there. */
  async remove(name: string): Promise<void> {
    const [removal] = await this.#remove([nameWord(nameBytes(name)), "-"]);
    if (removal === "none") throw new UserError({ reason: "ArchiveNotFound", message: say`${location(this.archive(name))} not found` });
    if (removal !== "gone") throw new UserError({ reason: "RemovalFailed", message: say`cannot remove ${location(this.archive(name))}` });
  }

  /** Removes files as long as they are what they were when they were listed: what became of each. */
  async removeEach(files: readonly NodeFile[]): Promise<Removal[]> {
    return await this.#remove(
      files.flatMap(({ raw, identity }) => [nameWord(raw), identity.includes(" ") ? identity.replaceAll(" ", ".") : "-"]),
    );
  }

  /** `words`: a name and an identity for each file. */
  async #remove(words: readonly string[]): Promise<Removal[]> {
    const { transport, signal } = await this.ready();
    let asked = false;
    return await persistently(async () => {
      const again = asked;
      asked = true;
      const answers = (await transport.ask(["remove", ...words], signal)).trimEnd().split("\n");
      if (answers.length !== words.length / 2) throw cut("the answer was cut off");
      // Asked again because the first answer was lost, what is not there any more was removed.
      return answers.map((answer) => (answer === "none" && again ? "gone" : (REMOVALS.find((one) => one === answer) ?? "kept")));
    }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease[Symbol.asyncDispose]();
  }

  async #ask(operation: readonly string[], idleMs?: number): Promise<string> {
    const { transport, signal } = await this.ready();
    return await persistently(async () => await transport.ask(operation, signal, idleMs), signal);
  }
}
