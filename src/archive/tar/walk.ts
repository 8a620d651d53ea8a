import { UserError } from "../../model/error.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import type { Source } from "../../model/source.ts";
import type { Budget } from "../budget.ts";
import { BLOCK, DATALESS, isZero, METADATA, parseHeader, type Header } from "./header.ts";
import { parsePax, type Extended } from "./pax.ts";
import { sparseMap, type SparseMap } from "./sparse.ts";

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
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: number;
  /** Where its data begins. */
  readonly offset: number;
  /** Its data are pieces of the file. "unreadable": in a form that is not read, or that contradicts itself. */
  readonly sparse: SparseMap | "unreadable" | undefined;
  /** What not all readers take alike, as nouns; undefined for a member as engines write them. */
  readonly oddity: string | undefined;
}

/** How the chain of headers ended. */
export interface Ending {
  /** Where, in bytes; the closing zero blocks included. */
  readonly end: number;
  readonly complete: boolean;
  /** A sentence each, without a full stop. */
  readonly problems: readonly string[];
}

/** Headers, extended ones included. A real archive has some hundred; a root file system's change may have many. */
const MOST_HEADERS = 600_000;
/** Of one extended header's data, in bytes; Go's reader, which the engines use, has the same bound. */
const LONGEST_EXTENDED = 1 << 20;
/** GNU's old sparse maps continue for this many blocks at most. */
const MOST_SPARSE_BLOCKS = 1000;
/** Where header fields end: only beyond it a size belongs into an extended header. */
const LARGEST_OCTAL = 8 ** 11;

/** The chain of headers breaks off at `at`, in bytes; the message says how. */
class Broken extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/**
 * Reads header after header (ustar, PAX, GNU) as Go's archive/tar does, which the engines use; what lies between is skipped. What other
 * readers may take differently is an oddity. Damage is an ending. Throws a UserError where the first block is no header, and
 * where there are absurdly many.
 */
export async function* walkTar(source: Source, label: string, budget: Budget): AsyncGenerator<Entry, Ending> {
  let offset = 0;
  let pending: Pending = {};
  const problems: string[] = [];
  try {
    for (let count = 0; count <= MOST_HEADERS; count += 1) {
      budget.decode(BLOCK);
      const block = await blockAt(source, offset);
      if (isZero(block)) {
        if (pending.count !== undefined) problems.push(`the extended header before byte ${offset} belongs to no member`);
        return await closing(source, offset, problems);
      }
      const header = parseHeader(block);
      if (header === undefined) throw new Broken(`the header at byte ${offset} is damaged`, offset);
      const size = dataSize(header, pending.pax);
      if (!Number.isSafeInteger(offset + size)) throw new Broken(`the header at byte ${offset} has no sound size`, offset);
      offset += BLOCK;
      if (METADATA.has(header.type)) {
        if (header.type === "g") problems.push(`there is a global extended header at byte ${offset - BLOCK}, which not all readers apply`);
        pending = withMetadata(pending, header, await metadata(source, header.type, offset, size, budget));
      } else {
        const next = { offset };
        const sparse = await sparseness(source, header, pending, next, size);
        offset = next.offset;
        yield entry(header, pending, offset, size, sparse);
        pending = {};
      }
      offset += Math.ceil(size / BLOCK) * BLOCK;
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    if (offset > 0) return { end: Math.min(error.at, source.size), complete: false, problems: [...problems, error.message] };
    throw new UserError({ reason: "NotAnArchive", message: say`${label} is not a tar archive`, fix: ofRecord(label), cause: error });
  }
  throw new UserError({ reason: "TooManyMembers", message: `${label} has more than ${MOST_HEADERS} headers` });
}

/** What headers of metadata say of the member that comes next. */
interface Pending {
  readonly pax?: Extended;
  readonly longName?: Buffer;
  readonly longLink?: Buffer;
  /** Of metadata headers. */
  readonly count?: number;
  readonly oddity?: string | undefined;
}

/** As Go's reader has it: of several headers of a kind the last counts, a global one is a member that ends what came before it. */
function withMetadata(pending: Pending, { type, oddity: own }: Header, data: Extended | Buffer): Pending {
  if (type === "g") return {};
  const count = (pending.count ?? 0) + 1;
  const kind = type === "x" ? "pax" : type === "L" ? "longName" : "longLink";
  const repeated = pending[kind] === undefined ? undefined : "several extended headers";
  const odd = repeated ?? (Buffer.isBuffer(data) ? (data.length === 0 ? "an empty long name" : undefined) : data.oddity);
  return { ...pending, [kind]: data, count, oddity: pending.oddity ?? odd ?? own };
}

function dataSize(header: Header, pax: Extended | undefined): number {
  if (METADATA.has(header.type)) return header.size;
  return DATALESS.has(header.type) || (header.type === "\0" && header.name.at(-1) === SLASH) ? 0 : (pax?.size ?? header.size);
}

const SLASH = 0x2f;

async function metadata(source: Source, type: string, offset: number, size: number, budget: Budget): Promise<Extended | Buffer> {
  if (size > LONGEST_EXTENDED) throw new Broken(`the extended header at byte ${offset} has ${size} bytes`, offset);
  budget.decode(size);
  const data = await readAt(source, offset, size);
  if (type === "x" || type === "g") {
    const records = parsePax(data, () => budget.step());
    if (records === undefined) throw new Broken(`the extended header at byte ${offset} is malformed`, offset);
    return records;
  }
  const nul = data.indexOf(0);
  return Buffer.from(nul < 0 ? data : data.subarray(0, nul));
}

/** Moves `at` behind the blocks that a sparse file's map takes. */
async function sparseness(
  source: Source,
  { type, format, block }: Header,
  { pax }: Pending,
  at: { offset: number },
  stored: number,
): Promise<Entry["sparse"]> {
  if (type !== "S") return pax?.sparse === true ? "unreadable" : undefined;
  const start = at.offset;
  if (format !== "gnu") throw new Broken(`the header at byte ${start - BLOCK} is damaged`, start - BLOCK);
  const next = async (): Promise<Buffer> => {
    if (at.offset - start >= MOST_SPARSE_BLOCKS * BLOCK) throw new Broken(`the sparse map at byte ${start} does not end`, start);
    const more = Buffer.from(await blockAt(source, at.offset));
    at.offset += BLOCK;
    return more;
  };
  const map = await sparseMap(Buffer.from(block), stored, next);
  return map === undefined || pax?.sparse === true ? "unreadable" : map;
}

function entry(header: Header, pending: Pending, offset: number, size: number, sparse: Entry["sparse"]): Entry {
  const { pax, longName, longLink } = pending;
  const name = notEmpty(longName) ?? notEmpty(pax?.path) ?? header.name;
  const type = header.type !== "\0" ? header.type : name.at(-1) === SLASH ? "5" : "0";
  return {
    name,
    target: notEmpty(longLink) ?? notEmpty(pax?.linkpath) ?? header.target,
    type,
    size,
    mode: header.mode,
    uid: pax?.uid ?? header.uid,
    gid: pax?.gid ?? header.gid,
    modifiedAt: pax?.modifiedAt ?? header.modifiedAt,
    offset,
    sparse,
    oddity: header.oddity ?? pending.oddity ?? oddityOf(header, pending, name),
  };
}

function notEmpty(name: Buffer | undefined): Buffer | undefined {
  return name === undefined || name.length === 0 ? undefined : name;
}

function oddityOf(header: Header, { pax, longName, longLink }: Pending, name: Buffer): string | undefined {
  if ((longName !== undefined && pax?.path !== undefined) || (longLink !== undefined && pax?.linkpath !== undefined)) {
    return "a long name and an extended header with another";
  }
  if (pax?.size !== undefined && (pax.size < LARGEST_OCTAL || header.size !== 0)) return "a size in its extended header";
  if (pax?.sparse === true) return "the records of a sparse file";
  return header.type === "0" && name.at(-1) === SLASH ? "a name that ends with a slash, though it is no directory" : undefined;
}

async function closing(source: Source, offset: number, problems: readonly string[]): Promise<Ending> {
  if (offset + BLOCK === source.size)
    return { end: source.size, complete: true, problems: [...problems, "it ends in one zero block instead of two"] };
  if (isZero(await blockAt(source, offset + BLOCK))) return { end: offset + 2 * BLOCK, complete: true, problems };
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

/** A record lies beside its archive, and is named after it. */
function ofRecord(label: string): Phrase | undefined {
  const [, archive] = /^(.+\.tar)\.json$/.exec(label) ?? [];
  return archive === undefined ? undefined : say`if it is a record, its archive is ${archive}`;
}
