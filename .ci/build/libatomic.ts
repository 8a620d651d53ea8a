import { isElf } from "./elf.ts";

// Node.js for Linux calls one function of libatomic, a library that many machines do not have: Debian, Ubuntu and Fedora
// install it only with a compiler. The function is put inside here, and the library is no longer asked for.
const LIBRARY = "libatomic.so.1";
const FUNCTION = "__atomic_compare_exchange";

interface Processor {
  /** bool FUNCTION(size, memory, expected, desired, ...), for the one size it is called with; any other ends the process. */
  readonly code: Buffer;
  /** The address of the stub in the procedure linkage table that jumps to where `slot` points. Throws where it does not. */
  readonly stub: (elf: Elf, slot: number, index: number) => number;
  readonly jump: (from: number, to: number) => Buffer;
}

/** By e_machine. */
const PROCESSORS: Readonly<Record<number, Processor>> = {
  // x86-64
  62: {
    code: Buffer.from(
      "4883ff08" + // cmp rdi, 8
        "7514" + // jne trap
        "488b02" + // mov rax, [rdx]
        "488b09" + // mov rcx, [rcx]
        "f0480fb10e" + // lock cmpxchg [rsi], rcx
        "7403" + // je done
        "488902" + // mov [rdx], rax
        "0f94c0" + // done: sete al
        "c3" + // ret
        "0f0b", // trap: ud2
      "hex",
    ),
    stub: (elf, slot) => {
      // Until it is bound, a slot points behind the stub's first instruction: jmp [rip + distance].
      const address = Number(elf.file.readBigUInt64LE(elf.offset(slot))) - 6;
      const at = elf.offset(address);
      if (elf.file.readUInt16LE(at) !== 0x25ff || address + 6 + elf.file.readInt32LE(at + 2) !== slot)
        throw new Error("no stub for its slot");
      return address;
    },
    jump: (from, to) => {
      const jump = Buffer.from("e900000000", "hex");
      jump.writeInt32LE(to - from - jump.length, 1);
      return jump;
    },
  },
  // AArch64
  183: {
    code: words(
      0xf100201f, // cmp x0, #8
      0x540001a1, // b.ne trap
      0xf9400044, // ldr x4, [x2]
      0xf9400065, // ldr x5, [x3]
      0xc85ffc26, // again: ldaxr x6, [x1]
      0xeb0400df, // cmp x6, x4
      0x540000a1, // b.ne different
      0xc807fc25, // stlxr w7, x5, [x1]
      0x35ffff87, // cbnz w7, again
      0x52800020, // mov w0, #1
      0xd65f03c0, // ret
      0xd5033f5f, // different: clrex
      0xf9000046, // str x6, [x2]
      0x52800000, // mov w0, #0
      0xd65f03c0, // ret
      0xd4200000, // trap: brk #0
    ),
    stub: (elf, slot, index) => {
      // Until they are bound, all slots point to the table's first entry, of 32 bytes: adrp x16; ldr x17, [x16, #offset].
      const address = Number(elf.file.readBigUInt64LE(elf.offset(slot))) + 32 + index * 16;
      const [adrp, ldr] = [0, 4].map((more) => elf.file.readUInt32LE(elf.offset(address) + more)) as [number, number];
      const pages = (((adrp >>> 5) & 0x7ffff) << 2) | ((adrp >>> 29) & 3);
      const target = (Math.floor(address / 4096) + pages) * 4096 + ((ldr >>> 10) & 0xfff) * 8;
      if ((adrp & 0x9f00001f) >>> 0 !== 0x90000010 || target !== slot) throw new Error("no stub for its slot");
      return address;
    },
    jump: (from, to) => words(0x14000000 | (((to - from) / 4) & 0x3ffffff)),
  },
};

/** The file, calling the function that is put inside. Throws where anything is not as in the Node.js that this was written for. */
export function withoutLibatomic(original: Buffer): Buffer {
  const elf = new Elf(Buffer.from(original));
  const { file } = elf;
  const processor = PROCESSORS[file.readUInt16LE(18)];
  if (processor === undefined) throw new Error("an unknown processor");

  const symbol = elf.undefinedSymbol(FUNCTION);
  const { slot, index } = elf.jumpSlot(symbol);
  const stub = processor.stub(elf, slot, index);
  const cave = elf.cave(processor.code.length);
  processor.code.copy(file, elf.offset(cave));
  processor.jump(stub, cave).copy(file, elf.offset(stub));
  elf.makeOptional(symbol);
  elf.removeLibrary(LIBRARY);
  return file;
}

function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) buffer.writeUInt32LE(value >>> 0, index * 4);
  return buffer;
}

const DT = { NEEDED: 1, PLTRELSZ: 2, STRTAB: 5, SYMTAB: 6, JMPREL: 23, VERSYM: 0x6ffffff0, VERNEED: 0x6ffffffe, VERNEEDNUM: 0x6fffffff };
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 24;
const DYNAMIC_SIZE = 16;

/** The dynamic part of an ELF file: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html, and versions: LSB, 10.7. */
class Elf {
  readonly file: Buffer;
  readonly #loads: { address: number; offset: number; size: number }[] = [];
  #dynamic = 0;

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
  }

  /** Where in the file an address is. */
  offset(address: number): number {
    const load = this.#loads.find((one) => address >= one.address && address < one.address + one.size);
    if (load === undefined) throw new Error(`nothing is at 0x${address.toString(16)}`);
    return load.offset + address - load.address;
  }

  /** The index of a symbol that a library is to give. */
  undefinedSymbol(name: string): number {
    const [symbols, versions] = [this.#table(DT.SYMTAB), this.#table(DT.VERSYM)];
    // One table's end is not written anywhere; the strings follow it.
    for (let index = 1; symbols + index * SYMBOL_SIZE < this.#table(DT.STRTAB); index += 1) {
      const at = symbols + index * SYMBOL_SIZE;
      if (this.#string(this.file.readUInt32LE(at)) === name && this.file.readUInt16LE(at + 6) === 0 && versions > 0) return index;
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
    const needed = this.#entries().find(({ tag, value }) => tag === DT.NEEDED && this.#string(value) === name);
    const last = this.#entries().at(-1);
    if (needed === undefined || last === undefined) throw new Error(`${name} is not needed`);
    this.file.copy(this.file, needed.at, needed.at + DYNAMIC_SIZE, last.at + DYNAMIC_SIZE);
    this.#removeVersions(name);
  }

  #removeVersions(name: string): void {
    const first = this.#table(DT.VERNEED);
    let before: number | undefined;
    let at = first;
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
    const from = this.#table(DT.STRTAB) + index;
    return this.file.toString("latin1", from, this.file.indexOf(0, from));
  }

  #long(at: number): number {
    return Number(this.file.readBigUInt64LE(at));
  }
}
