import { randomBytes } from "node:crypto";
import type { Codec, Helper, Lease, PieceRequest } from "./directory.ts";
import { BLOCK, nameWord } from "./operations.ts";
import { cut, persistently } from "./transport.ts";

/** Of one request's words: httpd's line ends at 8 KiB. */
export const MOST_WORDS = 7000;
/** What of a path stays the same in all of it: see nameWord. */
export const LONGEST_PATH = 2000;

/** A mark, and a line of facts for each file of a request. */
const LONGEST_TAIL = 20_000;
/** Files of one request that reads. */
export const MOST_FILES = 100;

/** What a volume has under a name: the facts of lstat. */
export interface VolumeEntry {
  readonly name: Buffer;
  readonly facts: Facts;
  /** Of a link; undefined where it could not be read. */
  readonly target: Buffer | undefined;
}

export interface Facts {
  readonly type: "file" | "directory" | "link" | "fifo" | "socket" | "device" | "other";
  /** Permission bits alone. */
  readonly mode: number;
  readonly bytes: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch by the node's clock. */
  readonly modifiedAt: number;
  readonly inode: string;
  /** Another one means that it changed in between. Nobody can set the time of change that is part of it. */
  readonly identity: string;
}

/** A page of a directory. */
export interface Page {
  /** Undefined where it is not there (any more), may not be read, or a part of its path is a link now. */
  readonly entries: readonly VolumeEntry[] | undefined;
  /** How many entries came before those that are still to be asked for; undefined where these were the last. */
  readonly more: number | undefined;
}

/**
 * The volumes of a pod, through a helper pod that mounts just them. Paths are the volume's name, and what is below it, any bytes. Nothing
 * is read through a link: see volume-operations.ts.
 */
export class PodVolumes implements AsyncDisposable {
  readonly #lease: Lease;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  async ready(): Promise<Helper> {
    return await this.#lease.helper();
  }

  /** Starts the helper pod beside something else. Why it does not start is thrown where it is needed. */
  start(): void {
    this.ready().catch(() => undefined);
  }

  async codecs(): Promise<readonly Codec[]> {
    const { tools } = await this.ready();
    return ["none", ...(["zstd", "lzop", "gzip"] as const).filter((tool) => tools.includes(tool))];
  }

  /** Pages of the first few of these directories; of the first one without its first `skip` entries. */
  async list(paths: readonly Buffer[], skip: number): Promise<Page[]> {
    return parsePages(await this.#ask(["volume-list", String(skip), ...paths.map(nameWord)]));
  }

  /** So many bytes of each file, or as many as it has; and what each is like afterwards, undefined where it is not there any more. */
  async read(
    files: readonly { readonly path: Buffer; readonly bytes: number }[],
  ): Promise<readonly { readonly bytes: Buffer; readonly after: Facts | undefined }[]> {
    // Nothing that is in a file can look like this.
    const mark = randomBytes(16).toString("hex");
    const words = files.flatMap(({ path, bytes }) => [String(bytes), nameWord(path)]);
    const { signal } = await this.ready();
    const answer = await persistently(async () => await this.#marked(["volume-read", mark, ...words], mark, files.length), signal);
    const found: Buffer[] = [];
    let at = 0;
    for (const { bytes } of files) {
      const whole = answer.indexOf(mark, at + bytes) === at + bytes ? at + bytes : answer.indexOf(mark, at);
      if (whole < 0) throw cut("the answer was cut off");
      found.push(answer.subarray(at, whole));
      at = whole + mark.length;
    }
    const lines = answer.toString("latin1", at).split("\n");
    return found.map((bytes, index) => ({ bytes, after: parseFacts(lines[index] ?? "") }));
  }

  /** A piece of a file, exactly as long as it is asked for: zeros where the file is shorter by now. See NodeDirectory.pour. */
  async pour(path: Buffer, { offset, length, codec, sink, signal: given, enough }: PieceRequest): Promise<void> {
    const { transport, signal: own } = await this.ready();
    const numbers = [offset / BLOCK, Math.ceil(length / BLOCK), length].map(String);
    await transport.pour(["volume-chunk", codec, ...numbers, nameWord(path)], sink, AbortSignal.any([own, given]), enough);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease[Symbol.asyncDispose]();
  }

  /** An answer with bytes of files, which may look like its end: that comes so many lines after the last mark. */
  async #marked(operation: readonly string[], mark: string, lines: number): Promise<Buffer> {
    const { transport, signal } = await this.ready();
    const enough = new AbortController();
    const pieces: Buffer[] = [];
    let tail = "";
    const isWhole = (): boolean => tail.endsWith("\nend\n") && tail.slice(tail.lastIndexOf(mark)).split("\n").length === lines + 2;
    await transport.pour(
      operation,
      (piece) => {
        pieces.push(Buffer.from(piece));
        tail = (tail + piece.toString("latin1")).slice(-LONGEST_TAIL);
        if (isWhole()) enough.abort();
        return undefined;
      },
      signal,
      enough.signal,
    );
    if (!isWhole()) throw cut("the answer was cut off");
    return Buffer.concat(pieces);
  }

  async #ask(operation: readonly string[]): Promise<string> {
    const { transport, signal } = await this.ready();
    return await persistently(async () => await transport.ask(operation, signal), signal);
  }
}

const TYPES: Readonly<Record<number, Facts["type"]>> = {
  0x1000: "fifo",
  0x2000: "device",
  0x4000: "directory",
  0x6000: "device",
  0x8000: "file",
  0xa000: "link",
  0xc000: "socket",
};

/** Of stat: mode in hexadecimal, bytes, links, user, group, times of change, inode, device. Undefined where it was not there. */
function parseFacts(line: string): Facts | undefined {
  if (line === "absent") return undefined;
  const [, raw = "", bytes, links, uid, gid, modified, changed, inode, device] =
    /^([0-9a-f]{1,8}) (\d{1,15}) (\d{1,9}) (\d{1,10}) (\d{1,10}) (-?\d{1,12}) (-?\d{1,12}) (\d{1,20}) (\d{1,20})$/.exec(line) ?? [];
  if (device === undefined) throw cut("the facts of a file cannot be read");
  const mode = Number.parseInt(raw, 16);
  return {
    type: TYPES[mode & 0xf000] ?? "other",
    mode: mode & 0o7777,
    bytes: Number(bytes),
    links: Number(links),
    uid: Number(uid),
    gid: Number(gid),
    modifiedAt: Number(modified),
    inode: `${device} ${inode}`,
    identity: [raw, bytes, modified, changed, inode, device].join(" "),
  };
}

/** What volume-list answers. Throws TransferCut where it is not whole. */
export function parsePages(answer: string): Page[] {
  const [nothing, ...directories] = `\n${answer}`.split("\ndirectory\n");
  if (nothing !== "" || directories.length === 0) throw cut("the list of files is not whole");
  return directories.map((text, index) => {
    const last = index === directories.length - 1 ? text.replace(/\n$/, "") : text;
    if (last === "absent") return { entries: undefined, more: undefined };
    const [, groups, more] = /^([^]*?)listed (\d{0,12})$/.exec(last) ?? [];
    const parts = groups?.split("\ndescribed\n");
    if (parts?.pop() !== "" || more === undefined) throw cut("the list of files is not whole");
    return { entries: parts.flatMap(parseGroup), more: more === "" ? undefined : Number(more) };
  });
}

function parseGroup(text: string): VolumeEntry[] {
  const [, names = "", facts = "", targets = ""] = /^([^]*)\nfacts\n([^]*)\ntargets\n([^]*)$/.exec(text) ?? [];
  // "./" before a name and "/" after it; no other bytes' digits can look like these, for no byte's begin with more than 3.
  const raws = names
    .replaceAll(/\s/g, "")
    .split("057")
    .slice(0, -1)
    .filter((_, index) => index % 2 === 1);
  const lines = facts.split("\n");
  const links = targets.split(/\n?next(?:\n|$)/).slice(0, -1);
  if (raws.length === 0 || raws.length !== lines.length || raws.length !== links.length)
    throw cut("the list of files does not fit together");
  return raws.flatMap((octal, index) => {
    const found = parseFacts(lines[index] ?? "");
    const target = (links[index] ?? "").replaceAll(/\s/g, "");
    return found === undefined ? [] : { name: bytes(octal), facts: found, target: target === "" ? undefined : bytes(target) };
  });
}

function bytes(octal: string): Buffer {
  if (!/^(?:[0-3][0-7]{2})+$/.test(octal)) throw cut("a name in the list cannot be read");
  return Buffer.from((octal.match(/.../g) ?? []).map((digits) => Number.parseInt(digits, 8)));
}
