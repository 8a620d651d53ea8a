import { heldBy, type FutexWait, type LockSetting, type LockWait } from "./wait.ts";

// musl 1.2: type at -4, lock 0, waiters 4 from the futex (src/internal/pthread_impl.h).

const TAKEN = 0x80000000;
const TYPES = 0x8f;
const SHARED = 128;
const MAYBE_WAITERS = 0x40000000;
const ID = 0x3fffffff;

/** Its usual mutexes have no owner: only those that check are held by somebody. */
export async function muslMutex({ futex, word }: FutexWait, setting: LockSetting): Promise<LockWait | undefined> {
  if (setting.libc === "glibc" || futex.operation !== "WAIT" || word !== futex.value || futex.address % 8n !== 4n) return undefined;
  const bytes = (word & TAKEN) === 0 ? undefined : await setting.reader.read(futex.address - 4n, 12);
  if (bytes === undefined) return undefined;
  const [type, waiters] = [bytes.readUInt32LE(0), bytes.readInt32LE(8)];
  if ((type & ~TYPES) !== 0 || futex.isPrivate !== ((type & SHARED) === 0) || waiters < 1) return undefined;
  const wait = { kind: "mutex", address: futex.address - 4n } as const;
  // EBUSY in place of an owner. Without a type a rwlock with readers looks the same.
  if ((type & 7) === 0) return (word & ID) === EBUSY ? { ...wait, owner: undefined, isAnonymous: true } : undefined;
  const tid = word & ID;
  const pid = setting.tids.has(tid) ? setting.pid : futex.isPrivate ? undefined : setting.processOf(tid);
  return pid === undefined ? undefined : { ...wait, owner: heldBy(pid, tid), isAnonymous: false };
}

const EBUSY = 16;

/** A FILE's lock: the id of who has it. */
export function muslStream({ futex, word }: FutexWait, { libc, tids, pid }: LockSetting): LockWait | undefined {
  if (libc === "glibc" || futex.operation !== "WAIT" || word !== futex.value || (word & ~ID) >>> 0 !== MAYBE_WAITERS) return undefined;
  const tid = word & ID;
  return tids.has(tid) ? { kind: "FILE", address: futex.address, owner: heldBy(pid, tid), isAnonymous: false } : undefined;
}
