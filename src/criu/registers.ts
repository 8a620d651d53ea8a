import { decode } from "./decode.ts";
import type { CoreEntry } from "./gen/process_pb.ts";
import {
  ThreadInfoAarch64Schema,
  ThreadInfoX86Schema,
  type UserAarch64FpsimdContextEntry,
  type UserX86FpregsEntry,
} from "./gen/registers_pb.ts";

/** The registers of a thread, of the architectures that are read. */
export type Registers = X86Registers | Aarch64Registers;

interface Common {
  /** By the names that debuggers have for them, in the order of the kernel's elf_gregset_t. */
  readonly general: readonly (readonly [name: string, value: bigint])[];
  /** Of the next instruction. */
  readonly instruction: bigint;
  readonly stack: bigint;
  /** What points to the thread's own data: fs_base, tpidr. */
  readonly threadPointer: bigint;
  /** Where the kernel writes 0 when the thread ends; 0 where it is not asked to. */
  readonly clearTid: bigint;
}

export interface X86Registers extends Common {
  readonly architecture: "x86-64";
  readonly floating: UserX86FpregsEntry | undefined;
}

export interface Aarch64Registers extends Common {
  readonly architecture: "aarch64";
  readonly floating: UserAarch64FpsimdContextEntry | undefined;
  /** Whether it signs return addresses: they lie on the stack with the signature in their upper bits. */
  readonly signs: boolean;
}

/** user_x86_regs_mode: a program of 32 bits. */
const COMPAT = 2;
const GENERAL_AARCH64 = 31;

/** Undefined of 32-bit programs and other architectures. Throws a UserError where they are damaged. */
export function registersOf({ threadInfo, tiAarch64 }: CoreEntry, image: string): Registers | undefined {
  if (threadInfo.length > 0) return x86Registers(threadInfo, image);
  return tiAarch64.length > 0 ? aarch64Registers(tiAarch64, image) : undefined;
}

function x86Registers(bytes: Uint8Array, image: string): X86Registers | undefined {
  const { gpregs, fpregs, clearTidAddr } = decode(ThreadInfoX86Schema, bytes, image);
  if (gpregs === undefined || gpregs.mode === COMPAT) return undefined;
  const { r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, origAx, ip, cs, flags, sp, ss, fsBase, gsBase } = gpregs;
  return {
    architecture: "x86-64",
    general: [
      ["r15", r15],
      ["r14", r14],
      ["r13", r13],
      ["r12", r12],
      ["rbp", bp],
      ["rbx", bx],
      ["r11", r11],
      ["r10", r10],
      ["r9", r9],
      ["r8", r8],
      ["rax", ax],
      ["rcx", cx],
      ["rdx", dx],
      ["rsi", si],
      ["rdi", di],
      ["orig_rax", origAx],
      ["rip", ip],
      ["cs", cs],
      ["eflags", flags],
      ["rsp", sp],
      ["ss", ss],
      ["fs_base", fsBase],
      ["gs_base", gsBase],
      ["ds", gpregs.ds],
      ["es", gpregs.es],
      ["fs", gpregs.fs],
      ["gs", gpregs.gs],
    ],
    instruction: ip,
    stack: sp,
    threadPointer: fsBase,
    clearTid: clearTidAddr,
    floating: fpregs,
  };
}

function aarch64Registers(bytes: Uint8Array, image: string): Aarch64Registers | undefined {
  const { gpregs, fpsimd, clearTidAddr, tls, pacKeys } = decode(ThreadInfoAarch64Schema, bytes, image);
  if (gpregs === undefined) return undefined;
  const { regs, sp, pc, pstate } = gpregs;
  return {
    architecture: "aarch64",
    general: [
      ...Array.from({ length: GENERAL_AARCH64 }, (_, number) => [`x${number}`, regs[number] ?? 0n] as const),
      ["sp", sp],
      ["pc", pc],
      ["pstate", pstate],
    ],
    instruction: pc,
    stack: sp,
    threadPointer: tls,
    clearTid: clearTidAddr,
    floating: fpsimd,
    signs: pacKeys?.pacAddressKeys !== undefined,
  };
}
