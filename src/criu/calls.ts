import type { CoreEntry } from "./gen/process_pb.ts";
import { ThreadInfoAarch64Schema, ThreadInfoX86Schema } from "./gen/registers_pb.ts";
import { decode } from "./decode.ts";
import { systemCallName } from "./syscalls.ts";
import { architectureOf } from "./threads.ts";

/** The system call of a thread, as its registers have it. */
export interface ThreadCall {
  /**
   * "waiting": a restored thread enters the call again. "interrupted": the checkpoint ended the call, which returns EINTR.
   * "returned": the call had just returned. "last": the call that the thread is in, or was in last: the registers of aarch64 do not tell.
   */
  readonly state: "waiting" | "interrupted" | "returned" | "last";
  readonly number: number;
  /** Undefined where this version does not know the number. */
  readonly name: string | undefined;
  /** Of aarch64 the first is the result where the call has returned. */
  readonly args: readonly bigint[];
  /** Of "last": where the thread is. */
  readonly instruction?: bigint;
  /** Of "returned". */
  readonly result?: bigint;
}

const EINTR = -4n;
/** user_x86_regs_mode: a program of 32 bits, whose numbers are others. */
const COMPAT = 2;

/**
 * What CRIU leaves in the registers (compel, arch/x86/src/lib/infect.c): a call to be entered again has its number in ax and ip before
 * the instruction of two bytes, whose end `syscall` keeps in cx; one that cannot be has -EINTR as its result. Undefined where the thread
 * was in no call, and of architectures and 32-bit programs whose registers are not read. Throws a UserError where they are damaged.
 */
export function systemCallOf(core: CoreEntry, image: string): ThreadCall | undefined {
  if (core.threadInfo.length > 0) return x86Call(core, image);
  return core.tiAarch64.length > 0 ? aarch64Call(core, image) : undefined;
}

function x86Call(core: CoreEntry, image: string): ThreadCall | undefined {
  const { gpregs } = decode(ThreadInfoX86Schema, core.threadInfo, image);
  if (gpregs === undefined || gpregs.mode === COMPAT) return undefined;
  const { ax, origAx, ip, cx, di, si, dx, r10, r8, r9 } = gpregs;
  const number = BigInt.asIntN(64, origAx);
  if (number < 0n) return undefined;
  const call = { number: Number(number), name: systemCallName(architectureOf(core), Number(number)), args: [di, si, dx, r10, r8, r9] };
  const result = BigInt.asIntN(64, ax);
  if (ip === cx - 2n && ax === origAx) return { ...call, state: "waiting" };
  return ip === cx && result === EINTR ? { ...call, state: "interrupted" } : { ...call, state: "returned", result };
}

/** Of EABI: the number in x8, arguments in x0 to x5. */
function aarch64Call(core: CoreEntry, image: string): ThreadCall | undefined {
  const { regs = [], pc: instruction = 0n } = decode(ThreadInfoAarch64Schema, core.tiAarch64, image).gpregs ?? {};
  const number = regs[8];
  if (number === undefined || number > 0xffffn) return undefined;
  const name = systemCallName(architectureOf(core), Number(number));
  return { state: "last", number: Number(number), name, args: regs.slice(0, 6), instruction };
}
