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

export function heldBy(pid: number, tid: number): Owner {
  return { kind: "thread", pid, tid };
}
