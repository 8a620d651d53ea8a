import { DynamicElf } from "./elf-dynamic.ts";

// Node.js for Linux calls one function of libatomic, a library that many machines do not have: Debian, Ubuntu and Fedora
// install it only with a compiler. The function is put inside here, and the library is no longer asked for.
const LIBRARY = "libatomic.so.1";
const FUNCTION = "__atomic_compare_exchange";

interface Processor {
  /** bool FUNCTION(size, memory, expected, desired, ...), for the one size it is called with; any other ends the process. */
  readonly code: Buffer;
  /** The address of the stub in the procedure linkage table that jumps to where `slot` points. Throws where it does not. */
  readonly stub: (elf: DynamicElf, slot: number, index: number) => number;
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

/**
 * The file, calling the function that is put inside; as it was, where it does not ask for the library. Throws where anything
 * is not as in the Node.js that this was written for.
 */
export function withoutLibatomic(original: Buffer): Buffer {
  const elf = new DynamicElf(Buffer.from(original));
  if (!elf.needs(LIBRARY)) return original;
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
