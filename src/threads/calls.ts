import { systemCallOf, type ThreadCall } from "../criu/calls.ts";
import type { CoreEntry } from "../criu/gen/process_pb.ts";
import type { MemoryReader } from "./memory.ts";

/** A system call with what its arguments mean. */
export interface Call extends ThreadCall {
  /** Of restart_syscall, the call that it takes up again: what its arguments look like. */
  readonly probably?: string;
  /** Descriptors that it works on or waits for. */
  readonly descriptors: readonly CallDescriptor[];
  readonly timeout?: Timeout;
  /** Whether it waits for a limited time: also where how long is not known. */
  readonly isLimited: boolean;
  readonly futex?: Futex;
  /** Of wait4 and waitid. */
  readonly child?: string;
}

export interface CallDescriptor {
  readonly fd: number;
  /** What it waits to do with it: of poll, select. */
  readonly events: readonly string[];
}

/** How long a call waits: from when it was made, or until a clock shows so many seconds. */
export type Timeout = { readonly seconds: number } | { readonly clock: "realtime" | "monotonic" | "clock"; readonly until: number };

export interface Futex {
  readonly address: bigint;
  /** "WAIT", "WAIT_BITSET", "LOCK_PI", … */
  readonly operation: string;
  /** Shared with no other process. */
  readonly isPrivate: boolean;
  /** What the word had to be for the thread to wait. */
  readonly value: number;
}

const OPERATIONS = ["WAIT", "WAKE", "FD", "REQUEUE", "CMP_REQUEUE", "WAKE_OP", "LOCK_PI", "UNLOCK_PI", "TRYLOCK_PI", "WAIT_BITSET"];
const LATER = ["WAKE_BITSET", "WAIT_REQUEUE_PI", "CMP_REQUEUE_PI", "LOCK_PI2"];
const WAITING = new Set(["WAIT", "WAIT_BITSET", "LOCK_PI", "LOCK_PI2", "WAIT_REQUEUE_PI"]);
const PRIVATE = 128;
const REALTIME = 256;

/** Which argument is the descriptor. */
const ON_FIRST = new Set(
  `read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg accept accept4
connect flock fsync fdatasync fcntl ioctl epoll_wait epoll_pwait epoll_pwait2 io_uring_enter mq_timedsend mq_timedreceive`.split(/\s+/),
);
const ON_TWO: Readonly<Record<string, readonly [number, number]>> = { splice: [0, 2], tee: [0, 1], sendfile: [1, 0] };

/** Arguments that point to a struct timespec: how long at most. */
const TIMESPEC: Readonly<Record<string, number>> = {
  nanosleep: 0,
  ppoll: 2,
  pselect6: 4,
  epoll_pwait2: 3,
  rt_sigtimedwait: 2,
  semtimedop: 3,
  io_getevents: 4,
  recvmmsg: 4,
};
const MILLISECONDS: Readonly<Record<string, number>> = { poll: 2, epoll_wait: 3, epoll_pwait: 3 };
const TIMER_ABSTIME = 1n;

/** Of poll.h. */
const POLL_EVENTS = [
  [1, "in"],
  [2, "pri"],
  [4, "out"],
  [0x2000, "rdhup"],
] as const;
const POLLFD_BYTES = 8;
/** Of one call so many are read: what its counts say is not believed. */
export const MOST_DESCRIPTORS = 1024;

/** What is around a thread. */
export interface CallSetting {
  readonly reader: MemoryReader | undefined;
  /** The instruction at an address, of aarch64; undefined where its bytes are not to be had. */
  readonly code: (address: bigint) => Promise<Buffer | undefined>;
  readonly isOpen: (fd: number) => boolean;
}

/** The call that a thread was in; undefined as of systemCallOf. Throws a UserError where its images cannot be read. */
export async function callOf(core: CoreEntry, image: string, { reader, code, isOpen }: CallSetting): Promise<Call | undefined> {
  const found = systemCallOf(core, image);
  const call = found?.state === "last" ? await settled(found, code) : found;
  if (call === undefined) return undefined;
  // The result is where the first argument was.
  if (found?.state === "last" && (call.state === "interrupted" || call.state === "returned"))
    return { ...call, descriptors: [], isLimited: true };
  if (call.name !== "restart_syscall" || reader === undefined) return { ...call, ...(await meaning(call.name, call.args, reader)) };
  const probably = await restarted(call.args, reader, isOpen);
  return probably === undefined
    ? { ...call, descriptors: [], isLimited: true }
    : { ...call, probably, ...(await meaning(probably, call.args, reader)) };
}

/** svc #0 of aarch64. */
const ENTERS = 0xd4000001;

/**
 * A call of aarch64 by the code that the thread is in: the kernel sets a thread that waits back before the instruction that enters the call,
 * with its arguments as they were, also where x86-64 has EINTR. Undefined where the thread was in no call; as it is where the code is not known.
 */
async function settled(call: ThreadCall, code: CallSetting["code"]): Promise<ThreadCall | undefined> {
  const { instruction = 0n } = call;
  const at = await code(instruction);
  if (at?.readUInt32LE() === ENTERS) return { ...call, state: "waiting" };
  const before = at && (await code(instruction - 4n));
  if (before === undefined) return call;
  if (before.readUInt32LE() !== ENTERS) return undefined;
  const result = BigInt.asIntN(64, call.args[0] ?? 0n);
  return result === EINTR ? { ...call, state: "interrupted" } : { ...call, state: "returned", result };
}

const EINTR = -4n;

/** Whether a futex call is one that waits. */
export function isWaitingFutex(futex: Futex): boolean {
  return WAITING.has(futex.operation);
}

/** By the shape of the arguments: a futex operation with a time, descriptors that are open, a time alone. */
async function restarted(args: readonly bigint[], reader: MemoryReader, isOpen: (fd: number) => boolean): Promise<string | undefined> {
  const [first = 0n, second = 0n, third = 0n, fourth = 0n] = args;
  const operation = Number(second & 0x7fn);
  if ((operation === 0 || operation === 9) && second < 512n && first % 4n === 0n && fourth !== 0n) {
    if ((await reader.u32(first)) !== undefined && (await timespec(fourth, reader)) !== undefined) return "futex";
  }
  if (second > 0n && second <= BigInt(MOST_DESCRIPTORS) && BigInt.asIntN(32, third) > 0n) {
    const all = await pollDescriptors(first, second, reader);
    if (all.length > 0 && all.every(({ fd, events }) => isOpen(fd) && events.length > 0)) return "poll";
  }
  if (second === 0n || (await reader.u64(second)) !== undefined) {
    if ((await timespec(first, reader)) !== undefined) return "nanosleep";
  }
  return undefined;
}

type Meaning = Pick<Call, "descriptors" | "timeout" | "isLimited" | "futex" | "child">;

async function meaning(name: string | undefined, args: readonly bigint[], reader: MemoryReader | undefined): Promise<Meaning> {
  const [first = 0n, second = 0n, third = 0n, fourth = 0n] = args;
  if (name === undefined) return { descriptors: [], isLimited: true };
  const timeout = (found: Timeout | undefined) => (found === undefined ? {} : { timeout: found });
  if (name === "futex") return { descriptors: [], ...(await futexMeaning(args, reader)) };
  if (name === "wait4") return { descriptors: [], isLimited: false, child: childOf(BigInt.asIntN(32, first)) };
  if (name === "waitid")
    return { descriptors: [], isLimited: false, child: first === 1n ? String(second) : first === 2n ? `group ${second}` : "any" };
  if (name === "clock_nanosleep") {
    const time = reader && (await timespec(third, reader));
    if (time === undefined) return { descriptors: [], isLimited: true };
    return {
      descriptors: [],
      isLimited: true,
      ...timeout(second & TIMER_ABSTIME ? { clock: clockOf(first), until: time } : { seconds: time }),
    };
  }
  const milliseconds = MILLISECONDS[name];
  const ms = milliseconds === undefined ? -1 : Number(BigInt.asIntN(32, args[milliseconds] ?? -1n));
  const pointer = args[TIMESPEC[name] ?? -1] ?? 0n;
  const seconds = ms >= 0 ? ms / 1000 : reader === undefined || pointer === 0n ? undefined : await timespec(pointer, reader);
  const limited = { isLimited: ms >= 0 || pointer !== 0n, ...timeout(seconds === undefined ? undefined : { seconds }) };
  if (ON_FIRST.has(name)) return { descriptors: one(first), ...limited };
  const two = ON_TWO[name];
  if (two !== undefined) return { descriptors: two.flatMap((index) => one(args[index] ?? -1n)), ...limited };
  if (reader === undefined) return { descriptors: [], ...limited };
  if (name === "poll" || name === "ppoll") return { descriptors: await pollDescriptors(first, second, reader), ...limited };
  if (name === "select" || name === "pselect6") {
    const fifth = args[4] ?? 0n;
    const micro = name === "select" && fifth !== 0n ? await timeval(fifth, reader) : undefined;
    return {
      descriptors: await selectDescriptors(first, [second, third, fourth], reader),
      ...(micro === undefined ? limited : timeout({ seconds: micro })),
      isLimited: fifth !== 0n,
    };
  }
  return { descriptors: [], ...limited };
}

function one(word: bigint): CallDescriptor[] {
  const fd = Number(BigInt.asIntN(32, word));
  return fd < 0 ? [] : [{ fd, events: [] }];
}

function childOf(pid: bigint): string {
  if (pid > 0n) return String(pid);
  return pid < -1n ? `group ${-pid}` : "any";
}

function clockOf(clock: bigint): "realtime" | "monotonic" | "clock" {
  return clock === 0n ? "realtime" : clock === 1n ? "monotonic" : "clock";
}

async function futexMeaning(args: readonly bigint[], reader: MemoryReader | undefined): Promise<Omit<Meaning, "descriptors">> {
  const [address = 0n, operation = 0n, value = 0n, pointer = 0n] = args;
  const number = Number(operation & 0x7fn);
  const name = OPERATIONS[number] ?? LATER[number - OPERATIONS.length] ?? String(number);
  const futex = {
    address,
    operation: name,
    isPrivate: (Number(operation & 0xfffn) & PRIVATE) !== 0,
    value: Number(BigInt.asUintN(32, value)),
  };
  const time = WAITING.has(name) && pointer !== 0n && reader !== undefined ? await timespec(pointer, reader) : undefined;
  const isLimited = WAITING.has(name) && pointer !== 0n;
  if (time === undefined) return { futex, isLimited };
  if (name === "WAIT") return { futex, isLimited, timeout: { seconds: time } };
  // LOCK_PI counts by the clock of the day whatever its operation says.
  const realtime = name === "LOCK_PI" || (Number(operation & 0xfffn) & REALTIME) !== 0;
  return { futex, isLimited, timeout: { clock: realtime ? "realtime" : "monotonic", until: time } };
}

async function timespec(address: bigint, reader: MemoryReader): Promise<number | undefined> {
  return await time(address, 1_000_000_000, reader);
}

async function timeval(address: bigint, reader: MemoryReader): Promise<number | undefined> {
  return await time(address, 1_000_000, reader);
}

async function time(address: bigint, perSecond: number, reader: MemoryReader): Promise<number | undefined> {
  const bytes = await reader.read(address, 16);
  if (bytes === undefined) return undefined;
  const [whole, parts] = [Number(bytes.readBigInt64LE(0)), Number(bytes.readBigInt64LE(8))];
  return whole >= 0 && parts >= 0 && parts < perSecond ? whole + parts / perSecond : undefined;
}

async function pollDescriptors(address: bigint, count: bigint, reader: MemoryReader): Promise<CallDescriptor[]> {
  const number = Math.min(Number(BigInt.asUintN(32, count)), MOST_DESCRIPTORS);
  const bytes = number === 0 ? undefined : await reader.read(address, number * POLLFD_BYTES);
  if (bytes === undefined) return [];
  return Array.from({ length: number }, (_, index) => {
    const events = bytes.readUInt16LE(index * POLLFD_BYTES + 4);
    return {
      fd: bytes.readInt32LE(index * POLLFD_BYTES),
      events: POLL_EVENTS.filter(([bit]) => (events & bit) !== 0).map(([, name]) => name),
    };
  }).filter(({ fd }) => fd >= 0);
}

async function selectDescriptors(count: bigint, sets: readonly bigint[], reader: MemoryReader): Promise<CallDescriptor[]> {
  const number = Math.min(Number(BigInt.asUintN(32, count)), MOST_DESCRIPTORS);
  const events = new Map<number, string[]>();
  for (const [index, address] of sets.entries()) {
    if (address === 0n || number === 0) continue;
    const bytes = await reader.read(address, Math.ceil(number / 64) * 8);
    // A part would look like all.
    if (bytes === undefined) return [];
    for (let fd = 0; fd < number; fd += 1) {
      if ((((bytes[fd >> 3] ?? 0) >> (fd & 7)) & 1) === 0) continue;
      events.set(fd, [...(events.get(fd) ?? []), ["in", "out", "pri"][index] ?? ""]);
    }
  }
  return [...events].sort(([a], [b]) => a - b).map(([fd, all]) => ({ fd, events: all }));
}
