import { nameText } from "../model/name.ts";
import { CLOSED } from "./operations.ts";
import { cut } from "./transport.ts";

/** A file in a node's directory, as it is at this moment. */
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

/**
 * What the operation list says: the time now, then groups of files, each in three parts: names in octal, sizes (with times and
 * inodes where the image has stat), hashes of the last two blocks. Throws TransferCut where the parts do not fit together, as
 * when a file was removed meanwhile.
 */
export function parseListing(answer: string): NodeFile[] {
  const [, now, groups = ""] = /^(\d{0,12})\n([^]*)$/.exec(answer) ?? [];
  const parts = groups.split("\ngroup\n");
  if (now === undefined || parts.pop() !== "") throw cut("the list of files is not whole");
  return parts.flatMap((group) => parseGroup(group, now === "" ? undefined : Number(now)));
}

function parseGroup(text: string, now: number | undefined): NodeFile[] {
  const [, names = "", sizes = "", ends = ""] = /^([^]*)\nsizes\n([^]*)\nends\n([^]*)$/.exec(text) ?? [];
  const octal = names.replaceAll(/\s/g, "");
  const facts = sizes.split("\n");
  // "./" before a name and "/" after it; no other bytes' digits can look like these, for no byte's begin with more than 3.
  const raws = octal
    .split("057")
    .slice(0, -1)
    .filter((_, index) => index % 2 === 1)
    .map(bytes);
  const hashes = new Map([...ends.matchAll(/^([0-9a-f]{64}) .*\.(\d+)$/gm)].map(([, hash, index]) => [Number(index) - 1, hash]));
  if (raws.length === 0 || raws.length !== facts.length || raws.length !== hashes.size)
    throw cut("the list of files does not fit together");
  return raws.map((raw, index) => ({
    ...parseFacts(facts[index] ?? "", now),
    name: nameText(raw),
    raw,
    closed: hashes.get(index) === CLOSED,
  }));
}

function bytes(octal: string): Buffer {
  if (!/^(?:[0-3][0-7]{2})+$/.test(octal)) throw cut("a name in the list cannot be read");
  return Buffer.from((octal.match(/.../g) ?? []).map((digits) => Number.parseInt(digits, 8)));
}

/** Size, and with stat the time of the last change and the inode. Throws TransferCut where that is not what it says. */
export function parseFacts(facts: string, now: number | undefined): Pick<NodeFile, "bytes" | "identity" | "modifiedAt" | "age"> {
  const [, size, modified] = /^(\d{1,15})(?: (\d{1,12}) \d+)?$/.exec(facts.trim()) ?? [];
  if (size === undefined) throw cut("the size of the file cannot be read");
  const sized = { bytes: Number(size), identity: facts.trim() };
  if (modified === undefined) return sized;
  const modifiedAt = Number(modified);
  return { ...sized, modifiedAt, ...(now === undefined ? {} : { age: now - modifiedAt }) };
}

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
