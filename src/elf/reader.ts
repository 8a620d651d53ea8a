import type { Source } from "../model/source.ts";

// https://refspecs.linuxfoundation.org/elf/elf.pdf, of 64 bits and little-endian.

export interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly entrySize: number;
}

export interface Segment {
  readonly type: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly fileBytes: bigint;
}

/** The tables of an ELF file: of what else it has, nothing is read. */
export interface Elf {
  /** ET_EXEC 2, ET_DYN 3, ET_CORE 4. */
  readonly type: number;
  /** EM_X86_64 62, EM_AARCH64 183. */
  readonly machine: number;
  readonly sections: readonly Section[];
  readonly segments: readonly Segment[];
}

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SEGMENT_BYTES = 56;
/** What headers say is not believed: no program has more. */
const MOST_ENTRIES = 4096;
const LONGEST_NOTES = 1 << 16;
const PT_NOTE = 4;
const NT_GNU_BUILD_ID = 3;

/** Undefined where it is no ELF file of 64 bits, little-endian, or one that is cut short. */
export async function readElf(source: Source): Promise<Elf | undefined> {
  if (source.size < HEADER_BYTES) return undefined;
  const header = await source.read(0, HEADER_BYTES);
  if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return undefined;
  const segments = await table(source, header.readBigUInt64LE(32), header.readUInt16LE(54), header.readUInt16LE(56), SEGMENT_BYTES);
  const sections = await table(source, header.readBigUInt64LE(40), header.readUInt16LE(58), header.readUInt16LE(60), SECTION_BYTES);
  return {
    type: header.readUInt16LE(16),
    machine: header.readUInt16LE(18),
    segments: segments.map((entry) => ({
      type: entry.readUInt32LE(0),
      offset: entry.readBigUInt64LE(8),
      address: entry.readBigUInt64LE(16),
      fileBytes: entry.readBigUInt64LE(32),
    })),
    sections: sections.map((entry) => ({
      type: entry.readUInt32LE(4),
      offset: Number(entry.readBigUInt64LE(24)),
      size: Number(entry.readBigUInt64LE(32)),
      link: entry.readUInt32LE(40),
      entrySize: Number(entry.readBigUInt64LE(56)),
    })),
  };
}

async function table(source: Source, offset: bigint, entryBytes: number, count: number, expected: number): Promise<Buffer[]> {
  const bytes = count * expected;
  if (entryBytes !== expected || count > MOST_ENTRIES || offset + BigInt(bytes) > BigInt(source.size)) return [];
  const all = await source.read(Number(offset), bytes);
  return Array.from({ length: count }, (_, index) => all.subarray(index * expected, (index + 1) * expected));
}

/** The build ID of a file, in lowercase hexadecimal; undefined where it has none. */
export async function buildIdOf(source: Source): Promise<string | undefined> {
  return (await noteOf(source, "GNU", NT_GNU_BUILD_ID))?.toString("hex");
}

/** The content of a note by its owner and type; undefined where the file has none. */
export async function noteOf(source: Source, owner: string, type: number): Promise<Buffer | undefined> {
  const elf = await readElf(source);
  for (const { type: kind, offset, fileBytes } of elf?.segments ?? []) {
    if (kind !== PT_NOTE || fileBytes > BigInt(LONGEST_NOTES) || offset + fileBytes > BigInt(source.size)) continue;
    const notes = await source.read(Number(offset), Number(fileBytes));
    for (let at = 0; at + 12 <= notes.length;) {
      const [nameBytes, bytes, found] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4), notes.readUInt32LE(at + 8)];
      const start = at + 12 + aligned(nameBytes);
      if (start + bytes > notes.length) break;
      if (found === type && notes.toString("latin1", at + 12, at + 12 + owner.length + 1) === `${owner}\0`)
        return notes.subarray(start, start + bytes);
      at = start + aligned(bytes);
    }
  }
  return undefined;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
