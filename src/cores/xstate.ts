import type { UserX86FpregsEntry, UserX86XsaveEntry } from "../criu/gen/registers_pb.ts";

/** The image of FXSAVE: what NT_FPREGSET is, and what an XSAVE area begins with. */
const FXSAVE_BYTES = 512;
/** Of its software bytes: XCR0, which tells debuggers what else is there. */
const XCR0 = 464;

/** The state of the x87 and SSE registers, as FXSAVE writes it. */
export function floatingState(registers: UserX86FpregsEntry): Buffer {
  const { cwd, swd, twd, fop, rip, rdp, mxcsr, mxcsrMask, stSpace, xmmSpace } = registers;
  const bytes = Buffer.alloc(FXSAVE_BYTES);
  for (const [index, word] of [cwd, swd, twd, fop].entries()) bytes.writeUInt16LE(word & 0xffff, index * 2);
  bytes.writeBigUInt64LE(rip, 8);
  bytes.writeBigUInt64LE(rdp, 16);
  bytes.writeUInt32LE(mxcsr, 24);
  bytes.writeUInt32LE(mxcsrMask, 28);
  putWords(bytes, 32, stSpace, 32);
  putWords(bytes, 160, xmmSpace, 64);
  return bytes;
}

/** The parts of an XSAVE area in the standard format, where Intel puts them; each with its bits in XCR0. */
const PARTS = [
  { bits: 0x4n, offset: 576, bytes: 256, of: ({ ymmhSpace }: UserX86XsaveEntry) => words32(ymmhSpace) },
  { bits: 0x18n, offset: 960, bytes: 64, of: ({ bndregState }: UserX86XsaveEntry) => words64(bndregState) },
  { bits: 0x18n, offset: 1024, bytes: 64, of: ({ bndcsrState }: UserX86XsaveEntry) => words64(bndcsrState) },
  { bits: 0xe0n, offset: 1088, bytes: 64, of: ({ opmaskReg }: UserX86XsaveEntry) => words64(opmaskReg) },
  { bits: 0xe0n, offset: 1152, bytes: 512, of: ({ zmmUpper }: UserX86XsaveEntry) => words64(zmmUpper) },
  { bits: 0xe0n, offset: 1664, bytes: 1024, of: ({ hi16Zmm }: UserX86XsaveEntry) => words64(hi16Zmm) },
  { bits: 0x200n, offset: 2688, bytes: 8, of: ({ pkru }: UserX86XsaveEntry) => words32(pkru) },
] as const;

/** x87 and SSE, which every one has. */
const BASE = 3n;

/** All of the vector registers, as XSAVE writes them; undefined where the image has only those of FXSAVE. CRIU does not keep XCR0: it is what is there. */
export function extendedState(registers: UserX86FpregsEntry): Buffer | undefined {
  const { xsave } = registers;
  if (xsave === undefined) return undefined;
  const parts = PARTS.map((part) => ({ ...part, content: part.of(xsave) })).filter(({ content }) => content.length > 0);
  const features = parts.reduce((all, { bits }) => all | bits, BASE);
  const area = Buffer.alloc(parts.reduce((end, { offset, bytes }) => Math.max(end, offset + bytes), 576));
  floatingState(registers).copy(area);
  area.writeBigUInt64LE(features, XCR0);
  area.writeBigUInt64LE(xsave.xstateBv & features, FXSAVE_BYTES);
  for (const { offset, bytes, content } of parts) content.copy(area, offset, 0, bytes);
  return area;
}

function putWords(bytes: Buffer, offset: number, words: readonly number[], most: number): void {
  for (const [index, word] of words.slice(0, most).entries()) bytes.writeUInt32LE(word >>> 0, offset + index * 4);
}

function words32(words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4);
  putWords(bytes, 0, words, words.length);
  return bytes;
}

export function words64(words: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(words.length * 8);
  for (const [index, word] of words.entries()) bytes.writeBigUInt64LE(word, index * 8);
  return bytes;
}
