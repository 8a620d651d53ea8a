import { heldBy, threadOfSelf, type FutexWait, type LockSetting, type LockWait, type Owner } from "./wait.ts";

// Layouts of glibc 2.36 and 2.42, 64 bits (sysdeps/nptl/bits/struct_mutex.h, struct_rwlock.h; libio/libioP.h).

/** lock is 2 where somebody waits. */
const CONTENDED = 2;
const ROBUST = 0x10;
const SHARED = 0x80;
const RECURSIVE = 1;
const KINDS = 0x1ff;
const MOST_USERS = 65535;
const MOST_TID = 1 << 22;
const OWNER_DIED_OR_WAITERS = 0xc0000000;
const MUTEX_BYTES = 40;

/** A FILE's lock: its owner is the struct pthread that holds it. */
export async function glibcStream({ futex, word }: FutexWait, setting: LockSetting): Promise<LockWait | undefined> {
  if (futex.operation !== "WAIT" || word !== CONTENDED) return undefined;
  const bytes = await setting.reader.read(futex.address, 16);
  const tid = bytes && (await threadOfSelf(bytes.readBigUInt64LE(8), setting));
  if (tid === undefined || bytes === undefined || bytes.readInt32LE(4) < 0) return undefined;
  return { kind: "FILE", address: futex.address, owner: heldBy(setting.pid, tid), isAnonymous: false };
}

/** A mutex of any type; a robust one has its owner in the word too. */
export async function glibcMutex({ futex, word, hasTimeout }: FutexWait, setting: LockSetting): Promise<LockWait | undefined> {
  // pthread_mutex_lock waits without a time; pthread_mutex_timedlock with one, by the other operation.
  if (futex.operation !== (hasTimeout ? "WAIT_BITSET" : "WAIT") || futex.address % 8n !== 0n) return undefined;
  const bytes = await setting.reader.read(futex.address, MUTEX_BYTES);
  if (bytes === undefined) return undefined;
  const [count, tid, users, kind] = [bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12), bytes.readInt32LE(16)];
  const isRobust = (kind & ROBUST) !== 0;
  const isLocked = isRobust ? (word & ~OWNER_DIED_OR_WAITERS) >>> 0 === tid : word === CONTENDED;
  const sound =
    isLocked &&
    futex.value === word &&
    tid > 0 &&
    tid <= MOST_TID &&
    users >= 1 &&
    users <= MOST_USERS &&
    (kind & ~KINDS) === 0 &&
    futex.isPrivate === ((kind & SHARED) === 0) &&
    ((kind & 3) === RECURSIVE ? count >= 1 : count === 0) &&
    // Robust ones are in a list of their thread's, others in none.
    (isRobust || (bytes.readBigUInt64LE(24) === 0n && bytes.readBigUInt64LE(32) === 0n)) &&
    // Two numbers that are a pointer are none.
    setting.reader.region(bytes.readBigUInt64LE(8)) === undefined;
  if (!sound) return undefined;
  return { kind: "mutex", address: futex.address, owner: ownerOf(tid, futex.isPrivate, setting), isAnonymous: false };
}

/** One that gives its owner the priority of those who wait, of any libc: the kernel itself wants its owner in the word. */
export function priorityMutex({ futex, word }: FutexWait, setting: LockSetting): LockWait | undefined {
  const tid = word & 0x3fffffff;
  if (!/^LOCK_PI2?$/.test(futex.operation) || tid === 0) return undefined;
  return { kind: "mutex", address: futex.address, owner: ownerOf(tid, futex.isPrivate, setting), isAnonymous: false };
}

function ownerOf(tid: number, isPrivate: boolean, { pid, tids, isWhole, processOf }: LockSetting): Owner | undefined {
  if (tids.has(tid)) return heldBy(pid, tid);
  const other = processOf(tid);
  if (isPrivate) return isWhole ? { kind: "gone", tid, pid: other } : undefined;
  return other === undefined ? undefined : heldBy(other, tid);
}

/** readers, wrphase_futex, writers_futex, cur_writer, shared; flags. */
const RWLOCK_BYTES = 56;
/** Bits of `readers`: a writer has it. */
const WRITE_PHASE_AND_LOCKED = 3;

/** A rwlock that a writer has. Readers are only counted: who they are is not known. */
export async function glibcReadWriteLock({ futex, word }: FutexWait, setting: LockSetting): Promise<LockWait | undefined> {
  if (!/^WAIT(_BITSET)?$/.test(futex.operation) || word !== futex.value) return undefined;
  for (const offset of [8n, 12n]) {
    const address = futex.address - offset;
    const bytes = address % 8n === 0n ? await setting.reader.read(address, RWLOCK_BYTES) : undefined;
    if (bytes === undefined) continue;
    const tid = bytes.readUInt32LE(24);
    const owner = setting.tids.has(tid) ? setting.pid : futex.isPrivate ? undefined : setting.processOf(tid);
    const sound =
      (bytes.readUInt32LE(0) & WRITE_PHASE_AND_LOCKED) === WRITE_PHASE_AND_LOCKED &&
      isFlag(bytes.readUInt32LE(8)) &&
      isFlag(bytes.readUInt32LE(12)) &&
      bytes.readUInt32LE(28) === (futex.isPrivate ? 0 : 1) &&
      bytes.readUInt32LE(48) <= 2;
    if (owner !== undefined && sound) return { kind: "read-write lock", address, owner: heldBy(owner, tid), isAnonymous: false };
  }
  return undefined;
}

/** 1 while a writer has it, and 2 where somebody waits for the word. */
function isFlag(word: number): boolean {
  return word === 1 || word === 3;
}

/** Of struct pthread, x86-64. */
const JOIN_STATE_242 = 0x628n;
const JOIN_STATE_MUSL = 0x38n;
const JOINABLE = 2;

/** pthread_join: up to glibc 2.41, and from 2.43 on, it waits for the word that the kernel clears; in 2.42 and in musl for one of the thread's own. */
export function joinedThread({ futex, word }: FutexWait, setting: LockSetting): LockWait | undefined {
  const { pid, byClearTid, byThreadPointer, architecture, libc } = setting;
  if (!/^WAIT(_BITSET)?$/.test(futex.operation) || word !== futex.value) return undefined;
  const wait = (tid: number): LockWait => ({ kind: "thread", address: futex.address, owner: heldBy(pid, tid), isAnonymous: false });
  const cleared = byClearTid.get(futex.address);
  if (cleared !== undefined && (cleared === word || word === JOINABLE)) return wait(cleared);
  if (architecture !== "x86-64" || word !== JOINABLE) return undefined;
  const offsets = libc === "musl" ? [JOIN_STATE_MUSL] : libc === "glibc" ? [JOIN_STATE_242] : [JOIN_STATE_242, JOIN_STATE_MUSL];
  for (const offset of offsets) {
    const tid = byThreadPointer.get(futex.address - offset);
    if (tid !== undefined) return wait(tid);
  }
  return undefined;
}
