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
const MOST_HEADERS = 500_000;
/** Of one extended header's data, in bytes; Go's reader, which the engines use, has the same bound. */
const LONGEST_EXTENDED = 1 << 20;

/**
 * Goes from header to header (ustar, PAX, GNU), as Go's archive/tar reads them; what lies between is skipped.
 * Damage is an ending. Throws a UserError where the first block is no header, and where there are absurdly many.
 */
export async function* walkTar(source: Source, label: string): AsyncGenerator<Entry, Ending> {
  let offset = 0;
  const global: Extended = {};
  let local: Extended = {};
  for (let count = 0; ; count += 1) {
    if (count > MOST_HEADERS) throw new UserError({ reason: "TooManyMembers", message: `${label} has more than ${MOST_HEADERS} headers` });
    const block = await blockAt(source, offset, count === 0);
    if (typeof block === "string") return { end: Math.min(offset, source.size), complete: false, problem: block };
    if (isZero(block)) return await closing(source, offset);
    const header = parseHeader(block);
    if (header === undefined) {
      if (count === 0) throw new UserError({ reason: "NotAnArchive", message: `${label} is not a tar archive` });
      return { end: offset, complete: false, problem: `the header at byte ${offset} is damaged` };
    }
    offset += BLOCK;
    const size = dataSize(header, local, global);
    if (size === undefined || !Number.isSafeInteger(offset + size)) {
      return { end: offset, complete: false, problem: `the header at byte ${offset - BLOCK} has no sound size` };
    }
    if (METADATA.has(header.type)) {
      const data =
        size > LONGEST_EXTENDED ? `the extended header at byte ${offset - BLOCK} has ${size} bytes` : await dataAt(source, offset, size);
      if (typeof data === "string") return { end: offset, complete: false, problem: data };
      const said = extension(header.type, data);
      if (said === undefined)
        return { end: offset, complete: false, problem: `the extended header at byte ${offset - BLOCK} is malformed` };
      Object.assign(header.type === "g" ? global : local, said);
    } else {
      for (let more = header.extended; more; offset += BLOCK) {
        const map = await blockAt(source, offset, false);
        if (typeof map === "string") return { end: Math.min(offset, source.size), complete: false, problem: map };
        more = map[504] !== 0;
      }
      yield entry(header, { ...global, ...local }, offset, size);
      local = {};
    }
    offset += Math.ceil(size / BLOCK) * BLOCK;
  }
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

function extension(type: string, data: Buffer): Extended | undefined {
  if (type === "x" || type === "g") return parsePax(data);
  const nul = data.indexOf(0);
  const value = nul < 0 ? data : data.subarray(0, nul);
  return type === "L" ? { path: value } : { linkpath: value };
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
  const second = await blockAt(source, offset + BLOCK, false);
  if (typeof second === "string")
    return { end: Math.min(offset + BLOCK, source.size), complete: true, problem: "it ends in one zero block instead of two" };
  if (isZero(second)) return { end: offset + 2 * BLOCK, complete: true };
  return { end: offset + BLOCK, complete: false, problem: `a lone zero block at byte ${offset} is in the middle of it` };
}

async function dataAt(source: Source, offset: number, size: number): Promise<Buffer | string> {
  try {
    return Buffer.from(await source.read(offset, size));
  } catch (error) {
    return damage(error, source, offset);
  }
}

/** A block, or how the archive ended instead. */
async function blockAt(source: Source, offset: number, first: boolean): Promise<Buffer | string> {
  try {
    return await source.read(offset, BLOCK);
  } catch (error) {
    // Nothing could be read at all: the reason is worth more than an empty index.
    if (first) throw error;
    return damage(error, source, offset);
  }
}

function damage(error: unknown, { size }: Source, offset: number): string {
  if (!(error instanceof UserError)) throw error;
  if (error.reason !== "ArchiveTruncated") return error.message;
  if (offset === size) return "it ends without its closing zero blocks: it was cut off, or is still being written";
  return offset < size
    ? "it is cut off in the middle of a header"
    : `it is cut off ${offset - size} bytes before the end of its last member`;
}
