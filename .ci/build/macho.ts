import { createHash } from "node:crypto";

// Mach-O files for 64-bit processors, little-endian, not "fat". Formats: <mach-o/loader.h>, <mach-o/nlist.h>, and
// osfmk/kern/cs_blobs.h of xnu for signatures.
const MAGIC = 0xfeedfacf;
const HEADER_SIZE = 32;
const LC_SYMTAB = 0x2;
const LC_DYSYMTAB = 0xb;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
/** Load commands that name ranges of __LINKEDIT: function starts, data in code, exports, fixups. */
const LINKEDIT_DATA = new Set([0x26, 0x29, 0x80000033, 0x80000034]);
const NLIST_SIZE = 16;
/** Of arm64, and a multiple of x86-64's. */
const VM_PAGE = 0x4000;

export function isMacho(file: Buffer): boolean {
  return file.readUInt32LE(0) === MAGIC;
}

interface Command {
  readonly kind: number;
  /** Of the command in the file, in bytes. */
  readonly at: number;
  readonly size: number;
}

function commands(file: Buffer): Command[] {
  const list: Command[] = [];
  let at = HEADER_SIZE;
  for (let index = 0; index < file.readUInt32LE(16); index += 1) {
    const size = file.readUInt32LE(at + 4);
    list.push({ kind: file.readUInt32LE(at), at, size });
    at += size;
  }
  return list;
}

function segment(file: Buffer, name: string): number {
  const found = commands(file).find(({ kind, at }) => kind === LC_SEGMENT_64 && segmentName(file, at) === name);
  if (found === undefined) throw new Error(`no segment ${name}`);
  return found.at;
}

function segmentName(file: Buffer, at: number): string {
  return file.toString("latin1", at + 8, at + 24).replace(/\0+$/, "");
}

/** Makes __LINKEDIT, the last segment, end where the file ends. */
function fitLinkedit(file: Buffer): void {
  const linkedit = segment(file, "__LINKEDIT");
  const size = file.length - Number(file.readBigUInt64LE(linkedit + 40));
  file.writeBigUInt64LE(BigInt(Math.ceil(size / VM_PAGE) * VM_PAGE), linkedit + 32);
  file.writeBigUInt64LE(BigInt(size), linkedit + 48);
}

/**
 * The file without its signature and without local symbols, which take a third of it and serve debuggers only: what
 * `codesign --remove-signature` and `strip -x` do. Throws where the tables are not laid out as linkers do.
 */
export function strippedMacho(original: Buffer): Buffer {
  const file = Buffer.from(original);
  const list = commands(file);
  const find = (wanted: number): number => {
    const found = list.find(({ kind }) => kind === wanted);
    if (found === undefined) throw new Error(`no load command ${wanted}`);
    return found.at;
  };
  const symtab = find(LC_SYMTAB);
  const dysymtab = find(LC_DYSYMTAB);
  const symbolsAt = file.readUInt32LE(symtab + 8);
  const symbolCount = file.readUInt32LE(symtab + 12);
  const stringsAt = file.readUInt32LE(symtab + 16);
  const [localsFrom, locals, externalsFrom] = [8, 12, 16].map((offset) => file.readUInt32LE(dysymtab + offset)) as [number, number, number];
  const indirectAt = file.readUInt32LE(dysymtab + 56);
  const indirectCount = file.readUInt32LE(dysymtab + 60);
  const before = list.filter(({ kind }) => LINKEDIT_DATA.has(kind)).every(({ at }) => file.readUInt32LE(at + 8) <= symbolsAt);
  if (!before || localsFrom !== 0 || externalsFrom !== locals || symbolsAt > indirectAt || indirectAt > stringsAt) {
    throw new Error("symbols in an unexpected order");
  }

  const symbols = Buffer.from(file.subarray(symbolsAt + locals * NLIST_SIZE, symbolsAt + symbolCount * NLIST_SIZE));
  // As linkers begin it: no symbol's name is at 0.
  const strings: Buffer[] = [Buffer.from(" \0")];
  let stringsSize = 2;
  for (let at = 0; at < symbols.length; at += NLIST_SIZE) {
    const from = stringsAt + symbols.readUInt32LE(at);
    const name = file.subarray(from, file.indexOf(0, from) + 1);
    symbols.writeUInt32LE(stringsSize, at);
    strings.push(name);
    stringsSize += name.length;
  }
  const indirect = Buffer.from(file.subarray(indirectAt, indirectAt + indirectCount * 4));
  for (let at = 0; at < indirect.length; at += 4) {
    const index = indirect.readUInt32LE(at);
    // INDIRECT_SYMBOL_LOCAL and INDIRECT_SYMBOL_ABS stand for no symbol.
    if (index < 0x40000000) indirect.writeUInt32LE(index - locals, at);
  }
  const padding = Buffer.alloc(-stringsSize & 7);
  const stripped = Buffer.concat([file.subarray(0, symbolsAt), symbols, indirect, ...strings, padding]);

  const newIndirectAt = symbolsAt + symbols.length;
  stripped.writeUInt32LE(symbols.length / NLIST_SIZE, symtab + 12);
  stripped.writeUInt32LE(newIndirectAt + indirect.length, symtab + 16);
  stripped.writeUInt32LE(stringsSize + padding.length, symtab + 20);
  stripped.writeUInt32LE(0, dysymtab + 12);
  for (const offset of [16, 24]) stripped.writeUInt32LE(stripped.readUInt32LE(dysymtab + offset) - locals, dysymtab + offset);
  stripped.writeUInt32LE(newIndirectAt, dysymtab + 56);
  removeSignatureCommand(stripped);
  fitLinkedit(stripped);
  return stripped;
}

function removeSignatureCommand(file: Buffer): void {
  const last = commands(file).at(-1);
  if (last === undefined || last.kind !== LC_CODE_SIGNATURE) throw new Error("the signature is not the last load command");
  file.fill(0, last.at, last.at + last.size);
  file.writeUInt32LE(file.readUInt32LE(16) - 1, 16);
  file.writeUInt32LE(file.readUInt32LE(20) - last.size, 20);
}

const SIGNATURE_PAGE_BITS = 12;
const DIRECTORY_SIZE = 88;

/**
 * The file with an ad-hoc signature, as linkers put it on: without one, a Mac with an ARM processor ends the process at once.
 * It is one CodeDirectory with the SHA-256 of every 4 KiB. Throws where the file has a signature, or no room for the command.
 */
export function signedMacho(unsigned: Buffer, identifier: string): Buffer {
  const list = commands(unsigned);
  const end = Math.max(...list.map(({ at, size }) => at + size));
  if (list.some(({ kind }) => kind === LC_CODE_SIGNATURE)) throw new Error("already signed");
  if (unsigned.subarray(end, end + 16).some((byte) => byte !== 0)) throw new Error("no room for another load command");

  const codeSize = (unsigned.length + 15) & ~15;
  const hashes = Math.ceil(codeSize / (1 << SIGNATURE_PAGE_BITS));
  const directorySize = DIRECTORY_SIZE + identifier.length + 1 + hashes * 32;
  // The super blob's header, and its index of one.
  const signatureSize = (20 + directorySize + 15) & ~15;
  const file = Buffer.concat([unsigned, Buffer.alloc(codeSize + signatureSize - unsigned.length)]);
  for (const [index, value] of [LC_CODE_SIGNATURE, 16, codeSize, signatureSize].entries()) file.writeUInt32LE(value, end + index * 4);
  file.writeUInt32LE(file.readUInt32LE(16) + 1, 16);
  file.writeUInt32LE(file.readUInt32LE(20) + 16, 20);
  fitLinkedit(file);

  const text = segment(file, "__TEXT");
  const directory = Buffer.alloc(directorySize);
  const hashesAt = DIRECTORY_SIZE + identifier.length + 1;
  const words: [offset: number, value: number][] = [
    [0, 0xfade0c02],
    [4, directorySize],
    [8, 0x20400], // the version that has an executable segment
    [12, 0x20002], // ad hoc, signed by a linker
    [16, hashesAt],
    [20, DIRECTORY_SIZE],
    [28, hashes],
    [32, codeSize],
  ];
  for (const [offset, value] of words) directory.writeUInt32BE(value, offset);
  directory.set([32, 2, 0, SIGNATURE_PAGE_BITS], 36); // SHA-256, 32 bytes each
  directory.writeBigUInt64BE(file.readBigUInt64LE(text + 40), 64);
  directory.writeBigUInt64BE(file.readBigUInt64LE(text + 48), 72);
  directory.writeBigUInt64BE(1n, 80); // the main executable
  directory.write(identifier, DIRECTORY_SIZE, "latin1");
  for (let page = 0; page < hashes; page += 1) {
    const from = page << SIGNATURE_PAGE_BITS;
    const content = file.subarray(from, Math.min(from + (1 << SIGNATURE_PAGE_BITS), codeSize));
    createHash("sha256")
      .update(content)
      .digest()
      .copy(directory, hashesAt + page * 32);
  }
  for (const [index, value] of [0xfade0cc0, 20 + directorySize, 1, 0, 20].entries()) file.writeUInt32BE(value, codeSize + index * 4);
  directory.copy(file, codeSize + 20);
  return file;
}
