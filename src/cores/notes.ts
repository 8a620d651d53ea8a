import type { Process } from "../criu/processes.ts";
import type { Aarch64Registers, Registers } from "../criu/registers.ts";
import { note } from "../elf/core-file.ts";
import { extendedState, floatingState, words64 } from "./xstate.ts";

// include/uapi/linux/elf.h, elfcore.h; arch/*/include/asm/user.h.
const NT_PRSTATUS = 1;
const NT_FPREGSET = 2;
const NT_PRPSINFO = 3;
const NT_AUXV = 6;
const NT_X86_XSTATE = 0x202;
const NT_ARM_TLS = 0x401;
const NT_ARM_PAC_MASK = 0x406;
const NT_FILE = 0x46494c45;

/** struct elf_prstatus before the registers. */
const STATUS_HEAD = 112;

/** What a debugger has to know of a process beside its memory. */
export type ProcessFacts = Pick<Process, "pid" | "ppid" | "pgid" | "sid"> & {
  readonly name: Buffer;
  /** As ps prints it. */
  readonly commandLine: Buffer;
  readonly uid: number;
  readonly gid: number;
  readonly nice: number;
  readonly auxv: readonly bigint[];
  /** Where its highest mapping ends. */
  readonly end: bigint;
};

/** A thread's notes: NT_PRSTATUS first, which is where a new thread begins. Those of the process come with its first one, as the kernel has it. */
export function threadNotes(
  tid: number,
  registers: Registers,
  blocked: bigint,
  facts: ProcessFacts,
  ofProcess: readonly Buffer[],
): Buffer[] {
  const notes = [statusNote(tid, registers, blocked, facts), ...ofProcess];
  if (registers.architecture === "aarch64") {
    const { floating, threadPointer, signs } = registers;
    if (floating !== undefined) notes.push(note("CORE", NT_FPREGSET, simdState(floating)));
    notes.push(note("LINUX", NT_ARM_TLS, words64([threadPointer])));
    if (signs) notes.push(note("LINUX", NT_ARM_PAC_MASK, words64(Array<bigint>(2).fill(signatureMask(facts.end)))));
    return notes;
  }
  const { floating } = registers;
  if (floating === undefined) return notes;
  notes.push(note("CORE", NT_FPREGSET, floatingState(floating)));
  const extended = extendedState(floating);
  return extended === undefined ? notes : [...notes, note("LINUX", NT_X86_XSTATE, extended)];
}

/** Sizes of an address space that kernels are built for, in bits. The stack lies at its upper end. */
const ADDRESS_BITS = [36n, 39n, 42n, 47n, 48n, 52n];

/** Bits of a pointer that its signature may be in: those up to bit 54 that no address of the process has. Data and code have the same. */
function signatureMask(end: bigint): bigint {
  const bits = ADDRESS_BITS.find((one) => end <= 1n << one) ?? 52n;
  return (1n << 55n) - (1n << bits);
}

/** Which files are mapped where: debuggers find programs and libraries by it. */
export function fileNote(files: readonly MappedFile[], pageSize: number): Buffer {
  const table = Buffer.alloc(16 + files.length * 24);
  table.writeBigUInt64LE(BigInt(files.length), 0);
  table.writeBigUInt64LE(BigInt(pageSize), 8);
  for (const [index, { start, end, offset }] of files.entries()) {
    table.writeBigUInt64LE(start, 16 + index * 24);
    table.writeBigUInt64LE(end, 24 + index * 24);
    table.writeBigUInt64LE(offset / BigInt(pageSize), 32 + index * 24);
  }
  return note("CORE", NT_FILE, Buffer.concat([table, ...files.flatMap(({ path }) => [path, NUL])]));
}

const NUL = Buffer.alloc(1);

export interface MappedFile {
  readonly start: bigint;
  readonly end: bigint;
  /** In the file, in bytes. */
  readonly offset: bigint;
  readonly path: Buffer;
}

function statusNote(tid: number, { general }: Registers, blocked: bigint, { ppid = 0, pgid = 0, sid = 0 }: ProcessFacts): Buffer {
  const registers = words64(general.map(([, value]) => value));
  // fpvalid, and padding.
  const content = Buffer.alloc(STATUS_HEAD + registers.length + 8);
  content.writeBigUInt64LE(blocked, 24);
  for (const [index, id] of [tid, ppid, pgid, sid].entries()) content.writeUInt32LE(id >>> 0, 32 + index * 4);
  registers.copy(content, STATUS_HEAD);
  content.writeUInt32LE(1, STATUS_HEAD + registers.length);
  return note("CORE", NT_PRSTATUS, content);
}

/** What it is, and what the kernel told its program. */
export function processNotes(facts: ProcessFacts): Buffer[] {
  const { pid, ppid = 0, pgid = 0, sid = 0, name, commandLine, uid, gid, nice, auxv } = facts;
  const content = Buffer.alloc(136);
  // It slept, as nearly everything does.
  content.write("S", 1, "latin1");
  content.writeInt8(Math.max(-20, Math.min(19, nice)), 3);
  for (const [index, id] of [uid, gid, pid, ppid, pgid, sid].entries()) content.writeUInt32LE(id >>> 0, 16 + index * 4);
  name.copy(content, 40, 0, 15);
  commandLine.copy(content, 56, 0, 79);
  return [note("CORE", NT_PRPSINFO, content), note("CORE", NT_AUXV, words64(auxv))];
}

/** struct user_fpsimd_state. */
function simdState({ vregs, fpsr, fpcr }: NonNullable<Aarch64Registers["floating"]>): Buffer {
  const content = Buffer.alloc(528);
  words64(vregs.slice(0, 64)).copy(content);
  content.writeUInt32LE(fpsr, 512);
  content.writeUInt32LE(fpcr, 516);
  return content;
}
