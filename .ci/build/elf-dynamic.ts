import { isElf } from "./elf.ts";

const DT = { NEEDED: 1, PLTRELSZ: 2, STRTAB: 5, SYMTAB: 6, JMPREL: 23, VERSYM: 0x6ffffff0, VERNEED: 0x6ffffffe, VERNEEDNUM: 0x6fffffff };
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 24;
const DYNAMIC_SIZE = 16;

/** The dynamic part of an ELF file: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html, and versions: LSB, 10.7. */
export class DynamicElf {
  readonly file: Buffer;
  readonly #loads: { address: number; offset: number; size: number }[] = [];
  #dynamic = 0;
  /** Where in the file names are. */
  readonly #strings: number;

  constructor(file: Buffer) {
    if (!isElf(file)) throw new Error("not an ELF file");
    this.file = file;
    const table = this.#long(0x20);
    for (let index = 0; index < file.readUInt16LE(0x38); index += 1) {
      const at = table + index * file.readUInt16LE(0x36);
      const type = file.readUInt32LE(at);
      if (type === 1) this.#loads.push({ address: this.#long(at + 16), offset: this.#long(at + 8), size: this.#long(at + 32) });
      if (type === 2) this.#dynamic = this.#long(at + 8);
    }
    this.#strings = this.#table(DT.STRTAB);
  }

  /** The libraries that an ELF file is loaded with; none where it is static. */
  static libraries(file: Buffer): string[] {
    const table = Number(file.readBigUInt64LE(0x20));
    const headers = Array.from({ length: file.readUInt16LE(0x38) }, (_, index) => table + index * file.readUInt16LE(0x36));
    if (!headers.some((at) => file.readUInt32LE(at) === 2)) return [];
    const elf = new DynamicElf(file);
    return elf.#entries().flatMap(({ tag, value }) => (tag === DT.NEEDED ? elf.#string(value) : []));
  }

  /** Where in the file an address is. */
  offset(address: number): number {
    const load = this.#loads.find((one) => address >= one.address && address < one.address + one.size);
    if (load === undefined) throw new Error(`nothing is at 0x${address.toString(16)}`);
    return load.offset + address - load.address;
  }

  /** Whether a library is loaded with it. */
  needs(library: string): boolean {
    return this.#needed(library) !== undefined;
  }

  /** The index of a symbol that a library is to give. */
  undefinedSymbol(name: string): number {
    const symbols = this.#table(DT.SYMTAB);
    // Their end is not written anywhere; the strings follow.
    for (let index = 1; symbols + index * SYMBOL_SIZE < this.#strings; index += 1) {
      const at = symbols + index * SYMBOL_SIZE;
      if (this.file.readUInt16LE(at + 6) === 0 && this.#string(this.file.readUInt32LE(at)) === name) return index;
    }
    throw new Error(`no symbol ${name}`);
  }

  /** Address of the slot that a call of the symbol goes through, and its place among all of them. */
  jumpSlot(symbol: number): { slot: number; index: number } {
    const relocations = this.#table(DT.JMPREL);
    for (let index = 0; index < this.#value(DT.PLTRELSZ) / RELOCATION_SIZE; index += 1) {
      const at = relocations + index * RELOCATION_SIZE;
      if (this.file.readUInt32LE(at + 12) === symbol) return { slot: this.#long(at), index };
    }
    throw new Error("it is not called");
  }

  /** The address of unused room among the code, between two sections. */
  cave(size: number): number {
    const table = this.#long(0x28);
    const sections = Array.from({ length: this.file.readUInt16LE(0x3c) }, (_, index) => table + index * this.file.readUInt16LE(0x3a));
    const code = sections
      .filter((at) => (this.#long(at + 8) & 4) !== 0)
      .map((at) => ({ from: this.#long(at + 16), size: this.#long(at + 32) }));
    for (const [index, { from, size: length }] of code.entries()) {
      const room = Math.ceil((from + length) / 16) * 16;
      const next = code[index + 1]?.from ?? 0;
      if (next - room >= size && this.file.subarray(this.offset(room), this.offset(room) + size).every((byte) => byte === 0)) return room;
    }
    throw new Error("no room for the function");
  }

  /** The dynamic linker goes on where it does not find the symbol. */
  makeOptional(symbol: number): void {
    const info = this.#table(DT.SYMTAB) + symbol * SYMBOL_SIZE + 4;
    const weak = 2;
    this.file.writeUInt8((weak << 4) | (this.file.readUInt8(info) & 15), info);
    // Of no version.
    this.file.writeUInt16LE(1, this.#table(DT.VERSYM) + symbol * 2);
  }

  /** The library is neither loaded, nor asked for the versions that it has. */
  removeLibrary(name: string): void {
    const needed = this.#needed(name);
    const last = this.#entries().at(-1);
    if (needed === undefined || last === undefined) throw new Error(`${name} is not needed`);
    this.file.copy(this.file, needed.at, needed.at + DYNAMIC_SIZE, last.at + DYNAMIC_SIZE);
    this.#removeVersions(name);
  }

  #removeVersions(name: string): void {
    let before: number | undefined;
    let at = this.#table(DT.VERNEED);
    while (this.#string(this.file.readUInt32LE(at + 4)) !== name) {
      if (this.file.readUInt32LE(at + 12) === 0) return;
      before = at;
      at += this.file.readUInt32LE(at + 12);
    }
    const next = this.file.readUInt32LE(at + 12);
    if (before === undefined) this.#setValue(DT.VERNEED, this.#value(DT.VERNEED) + next);
    else this.file.writeUInt32LE(next === 0 ? 0 : this.file.readUInt32LE(before + 12) + next, before + 12);
    this.#setValue(DT.VERNEEDNUM, this.#value(DT.VERNEEDNUM) - 1);
  }

  #needed(library: string): { readonly at: number } | undefined {
    return this.#entries().find(({ tag, value }) => tag === DT.NEEDED && this.#string(value) === library);
  }

  /** The last one is of tag 0. */
  #entries(): { tag: number; value: number; at: number }[] {
    const entries = [];
    for (let at = this.#dynamic; ; at += DYNAMIC_SIZE) {
      const tag = this.#long(at);
      entries.push({ tag, value: this.#long(at + 8), at });
      if (tag === 0) return entries;
    }
  }

  #entry(wanted: number): { value: number; at: number } {
    const found = this.#entries().find(({ tag }) => tag === wanted);
    if (found === undefined) throw new Error(`no dynamic entry ${wanted}`);
    return found;
  }

  #value(tag: number): number {
    return this.#entry(tag).value;
  }

  #setValue(tag: number, value: number): void {
    this.file.writeBigUInt64LE(BigInt(value), this.#entry(tag).at + 8);
  }

  /** Where in the file the table of a tag begins. */
  #table(tag: number): number {
    return this.offset(this.#value(tag));
  }

  #string(index: number): string {
    const from = this.#strings + index;
    return this.file.toString("latin1", from, this.file.indexOf(0, from));
  }

  #long(at: number): number {
    return Number(this.file.readBigUInt64LE(at));
  }
}
