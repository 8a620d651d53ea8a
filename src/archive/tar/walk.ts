import { UserError } from "../../model/error.ts";
import type { Source } from "../../model/source.ts";
import { BLOCK, isZero, parseHeader, type Header } from "./header.ts";
import { parsePax, type Extended } from "./pax.ts";

/** A member as its headers, extended ones applied, describe it. */
export interface Entry {
  /** Bytes: names are not always UTF-8. */
  readonly name: Buffer;
  readonly target: Buffer;
  /** The type flag: "0" file, "1" link, "2" symlink, "5" directory, others. */
  readonly type: string;
  /** Of its data, in bytes; 0 for what has none by definition. */
  readonly size: number;
  readonly mode: number;
  readonly modifiedAt: number;
  /** Where its data begins. */
  readonly offset: number;
  /** Its data are a map and pieces of the file, not the file. */
  readonly sparse: boolean;
}

/** How the chain of headers ended. */
export interface Ending {
  /** Where, in bytes; the closing zero blocks included. */
  readonly end: number;
  readonly complete: boolean;
  readonly problem?: string;
}

/** Headers, extended ones included. A real archive has some hundred; a root file system's change may have many. */
const MOST_HEADERS = 250_000;
/** Of one extended header's data, in bytes; Go's reader, which the engines use, has the same bound. */
const LONGEST_EXTENDED = 1 << 20;

/** GNU's old sparse maps go on for this many blocks at most. */
const MOST_SPARSE_BLOCKS = 1000;

/** The chain of headers breaks off at `at`, in bytes; the message says how. */
class Broken extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/**
 * Goes from header to header (ustar, PAX, GNU), as Go's archive/tar reads them; what lies between is skipped.
 * Damage is an ending. Throws a UserError where the first block is no header, and where there are absurdly many.
 */
export async function* walkTar(source: Source, label: string): AsyncGenerator<Entry, Ending> {
  let offset = 0;
  const global: Extended = {};
  let local: Extended = {};
  try {
    for (let count = 0; count <= MOST_HEADERS; count += 1) {
      const block = await blockAt(source, offset);
      if (isZero(block)) return await closing(source, offset);
      const header = parseHeader(block);
      if (header === undefined) throw new Broken(`the header at byte ${offset} is damaged`, offset);
      const size = dataSize(header, local, global);
      if (size === undefined || !Number.isSafeInteger(offset + size)) {
        throw new Broken(`the header at byte ${offset} has no sound size`, offset);
      }
      offset += BLOCK;
      if (METADATA.has(header.type)) {
        Object.assign(header.type === "g" ? global : local, await extension(source, header.type, offset, size));
      } else {
        if (header.extended) offset = await afterSparseMap(source, offset);
        yield entry(header, { ...global, ...local }, offset, size);
        local = {};
      }
      offset += Math.ceil(size / BLOCK) * BLOCK;
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    if (offset > 0) return { end: Math.min(error.at, source.size), complete: false, problem: error.message };
    throw new UserError({ reason: "NotAnArchive", message: `${label} is not a tar archive`, cause: error });
  }
  throw new UserError({ reason: "TooManyMembers", message: `${label} has more than ${MOST_HEADERS} headers` });
}

/** PAX's local and global headers, GNU's long name and long link. */
const METADATA = new Set(["x", "g", "L", "K"]);
/** Links, devices, directories, FIFOs: no data follows, whatever their size says. */
const DATALESS = new Set(["1", "2", "3", "4", "5", "6"]);

function dataSize(header: Header, local: Extended, global: Extended): number | undefined {
  if (METADATA.has(header.type)) return header.size;
  if (DATALESS.has(header.type) || isOldDirectory(header)) return 0;
  return local.size ?? global.size ?? header.size;
}

function isOldDirectory({ type, name }: Header): boolean {
  return type === "\0" && name.at(-1) === SLASH;
}

const SLASH = 0x2f;

async function extension(source: Source, type: string, offset: number, size: number): Promise<Extended> {
  if (size > LONGEST_EXTENDED) throw new Broken(`the extended header at byte ${offset} has ${size} bytes`, offset);
  const data = Buffer.from(await readAt(source, offset, size));
  if (type === "x" || type === "g") {
    const records = parsePax(data);
    if (records === undefined) throw new Broken(`the extended header at byte ${offset} is malformed`, offset);
    return records;
  }
  const nul = data.indexOf(0);
  const value = nul < 0 ? data : data.subarray(0, nul);
  return type === "L" ? { path: value } : { linkpath: value };
}

async function afterSparseMap(source: Source, offset: number): Promise<number> {
  for (let count = 1; count <= MOST_SPARSE_BLOCKS; count += 1) {
    const map = await blockAt(source, offset + (count - 1) * BLOCK);
    if (map[504] === 0) return offset + count * BLOCK;
  }
  throw new Broken(`the sparse map at byte ${offset} does not end`, offset);
}

function entry(header: Header, extended: Extended, offset: number, size: number): Entry {
  const { name, prefix } = header;
  return {
    name: extended.path ?? (prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name])),
    target: extended.linkpath ?? header.target,
    type: header.type !== "\0" ? header.type : isOldDirectory(header) ? "5" : "0",
    size,
    mode: header.mode,
    modifiedAt: extended.modifiedAt ?? header.modifiedAt,
    offset,
    sparse: header.type === "S" || extended.sparse === true,
  };
}

async function closing(source: Source, offset: number): Promise<Ending> {
  if (offset + BLOCK === source.size) return { end: source.size, complete: true, problem: "it ends in one zero block instead of two" };
  if (isZero(await blockAt(source, offset + BLOCK))) return { end: offset + 2 * BLOCK, complete: true };
  throw new Broken(`a lone zero block at byte ${offset} is in the middle of it`, offset);
}

async function blockAt(source: Source, offset: number): Promise<Buffer> {
  return await readAt(source, offset, BLOCK);
}

async function readAt(source: Source, offset: number, length: number): Promise<Buffer> {
  try {
    return await source.read(offset, length);
  } catch (error) {
    const reason = error instanceof UserError ? error.reason : "";
    if (reason === "ArchiveTruncated") throw new Broken(howCut(offset, source.size), offset);
    if (reason === "ArchiveDamaged" && offset > 0) throw new Broken((error as UserError).message, offset);
    throw error;
  }
}

function howCut(offset: number, size: number): string {
  if (offset === size) return "it ends without its closing zero blocks: it was cut off, or is still being written";
  return `it is cut off in the middle of ${offset < size ? "a header" : "its last member"}`;
}
