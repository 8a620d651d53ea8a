// ELF cores as Linux writes them (fs/binfmt_elf.c), of 64 bits and little-endian.

export const MACHINES = { "x86-64": 62, aarch64: 183 } as const;

export interface CoreSegment {
  readonly address: bigint;
  /** In the process, and how many of them are in the file; what is left reads as zeros. */
  readonly memoryBytes: bigint;
  readonly fileBytes: bigint;
  /** PF_X 1, PF_W 2, PF_R 4. */
  readonly flags: number;
}

/** Where everything lies in a core. */
export interface CoreLayout {
  readonly notesOffset: number;
  readonly notesBytes: number;
  /** Of the first segment's bytes; those of the others follow, each from a page on. */
  readonly dataOffset: number;
  readonly segments: number;
  readonly pageSize: number;
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const SECTION_BYTES = 64;
const ET_CORE = 4;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** e_phnum where there are too many headers to be counted there: section 0 has the number then. */
const PN_XNUM = 0xffff;

/** `segments` counts PT_LOADs; the one PT_NOTE comes before them. */
export function coreLayout(segments: number, notesBytes: number, pageSize: number): CoreLayout {
  const headers = segments + 1;
  const notesOffset = HEADER_BYTES + (headers >= PN_XNUM ? SECTION_BYTES : 0) + headers * SEGMENT_BYTES;
  return { notesOffset, notesBytes, dataOffset: pageAfter(notesOffset + notesBytes, pageSize), segments, pageSize };
}

export function pageAfter(offset: number, pageSize: number): number {
  return Math.ceil(offset / pageSize) * pageSize;
}

/** The file's header, with the program header of its notes; those of its segments follow. */
export function coreHeader({ segments, notesOffset, notesBytes }: CoreLayout, machine: number): Buffer {
  const headers = segments + 1;
  const extended = headers >= PN_XNUM;
  const first = HEADER_BYTES + (extended ? SECTION_BYTES : 0);
  const bytes = Buffer.alloc(first + SEGMENT_BYTES);
  // Class, byte order, version.
  bytes.write("\x7fELF\x02\x01\x01", "latin1");
  bytes.writeUInt16LE(ET_CORE, 16);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(first), 32);
  bytes.writeUInt16LE(HEADER_BYTES, 52);
  bytes.writeUInt16LE(SEGMENT_BYTES, 54);
  bytes.writeUInt16LE(extended ? PN_XNUM : headers, 56);
  if (extended) {
    bytes.writeBigUInt64LE(BigInt(HEADER_BYTES), 40);
    bytes.writeUInt16LE(SECTION_BYTES, 58);
    bytes.writeUInt16LE(1, 60);
    // sh_info.
    bytes.writeUInt32LE(headers, HEADER_BYTES + 44);
  }
  bytes.writeUInt32LE(PT_NOTE, first);
  bytes.writeBigUInt64LE(BigInt(notesOffset), first + 8);
  bytes.writeBigUInt64LE(BigInt(notesBytes), first + 32);
  bytes.writeBigUInt64LE(4n, first + 48);
  return bytes;
}

/** The program header of a segment whose bytes are at `offset`. */
export function segmentHeader({ address, memoryBytes, fileBytes, flags }: CoreSegment, offset: number, pageSize: number): Buffer {
  const bytes = Buffer.alloc(SEGMENT_BYTES);
  bytes.writeUInt32LE(PT_LOAD, 0);
  bytes.writeUInt32LE(flags, 4);
  bytes.writeBigUInt64LE(BigInt(offset), 8);
  bytes.writeBigUInt64LE(address, 16);
  bytes.writeBigUInt64LE(fileBytes, 32);
  bytes.writeBigUInt64LE(memoryBytes, 40);
  bytes.writeBigUInt64LE(BigInt(pageSize), 48);
  return bytes;
}

/** A note; its owner is "CORE", or "LINUX" for what the kernel has added later. */
export function note(owner: "CORE" | "LINUX", type: number, content: Buffer): Buffer {
  const name = Buffer.alloc(8);
  name.write(owner, "latin1");
  const head = Buffer.alloc(12);
  head.writeUInt32LE(owner.length + 1, 0);
  head.writeUInt32LE(content.length, 4);
  head.writeUInt32LE(type, 8);
  return Buffer.concat([head, name, content, Buffer.alloc(-content.length & 3)]);
}
