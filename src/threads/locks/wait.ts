import type { Futex } from "../calls.ts";
import type { MemoryReader } from "../memory.ts";

/** What a thread waits for on a futex. */
export interface LockWait {
  /** "futex": what it belongs to is unknown. */
  readonly kind: "mutex" | "read-write lock" | "FILE" | "thread" | "Python lock" | "Python RLock" | "futex";
  /** Of the lock; threads that wait for the same one have the same. */
  readonly address: bigint;
  /** Who has it: undefined where nothing tells. */
  readonly owner: Owner | undefined;
  /** Whether this kind of lock records no owner at all. */
  readonly isAnonymous: boolean;
}

export type Owner =
  | { readonly kind: "thread"; readonly pid: number; readonly tid: number }
  /** No thread of the process has this id: it locked before a fork, or has ended. `pid` is the process that has such a thread. */
  | { readonly kind: "gone"; readonly tid: number; readonly pid: number | undefined };

/** The threads of a process, as locks refer to them. */
export interface LockSetting {
  readonly pid: number;
  readonly tids: ReadonlySet<number>;
  /** Whose thread pointer it is: x86-64's fs_base is the address of struct pthread. */
  readonly byThreadPointer: ReadonlyMap<bigint, number>;
  /** The same the other way round. */
  readonly threadPointers: ReadonlyMap<number, bigint>;
  /** Whose word it is that the kernel clears at its end, where it is of one thread alone. */
  readonly byClearTid: ReadonlyMap<bigint, number>;
  readonly architecture: "x86-64" | "aarch64";
  readonly libc: "glibc" | "musl" | "unknown";
  readonly isPython: boolean;
  /** Whether all threads could be read: else one that is not among them may be there. */
  readonly isWhole: boolean;
  /** The process of a thread, by its id, of all that the archive has. */
  readonly processOf: (tid: number) => number | undefined;
  readonly reader: MemoryReader;
}

/** A futex call that waits, and the word that it waits on. */
export interface FutexWait {
  readonly futex: Futex;
  /** As it is now. */
  readonly word: number;
  readonly hasTimeout: boolean;
  /** Of the thread that waits. */
  readonly tid: number;
  readonly stack: bigint;
}

/** Of struct pthread in glibc, aarch64: where its thread id is. It ends at the thread pointer, or before. */
const TID_AARCH64 = 0xd0n;
const LARGEST_PTHREAD = 0x1000n;

/** The thread that an address is the pthread_self() of, as locks record it. Of musl on aarch64 that is not known. */
export async function threadOfSelf(
  self: bigint,
  { architecture, byThreadPointer, threadPointers, reader }: LockSetting,
): Promise<number | undefined> {
  if (architecture === "x86-64") return byThreadPointer.get(self);
  const tid = await reader.u32(self + TID_AARCH64);
  const pointer = threadPointers.get(tid ?? 0);
  return pointer !== undefined && pointer > self && pointer - self <= LARGEST_PTHREAD ? tid : undefined;
}

export function heldBy(pid: number, tid: number): Owner {
  return { kind: "thread", pid, tid };
}
