import type { Region } from "../../criu/regions.ts";
import type { MemoryReader } from "../memory.ts";
import { heldBy, threadOfSelf, type FutexWait, type LockSetting, type LockWait, type Owner } from "./wait.ts";

// CPython, 64 bits. 3.13.1 and later: threading.Lock is a byte (Include/cpython/lock.h), and who waits sits on a semaphore in an entry on
// its own stack. Before: a lock is a semaphore of its own, and only the object that points to it says what it is.

const LOCKED_WITH_WAITERS = 3;
/** Of a PyMutex in an object: after the count of references and the type. */
const OBJECT_HEAD = 16n;
const TYPE_NAME = 24n;
const RLOCK = "_thread.RLock";
const LOCKS = new Set(["_thread.lock", "_thread.LockType", RLOCK]);
const MOST_NAME = 32;
/** An owner's stack reaches so far up from where its pointer is: the entry lies in a function that waits. */
const STACK_REACH = 1n << 16n;

/** A threading.Lock or RLock of Python. The first records no owner. */
export async function pythonLock({ futex, word, stack }: FutexWait, setting: LockSetting): Promise<LockWait | undefined> {
  if (!setting.isPython || word !== futex.value || !/^WAIT(_BITSET)?$/.test(futex.operation)) return undefined;
  const onStack = futex.address > stack && futex.address - stack < STACK_REACH;
  return onStack ? await parkedLock(futex.address, setting) : undefined;
}

async function parkedLock(semaphore: bigint, setting: LockSetting): Promise<LockWait | undefined> {
  const { reader } = setting;
  const mutex = await reader.u64(semaphore - 8n);
  const byte = mutex === undefined ? undefined : (await reader.read(mutex, 1))?.[0];
  if (mutex === undefined || byte === undefined) return undefined;
  const name = await typeName(mutex - OBJECT_HEAD, reader);
  if (byte !== LOCKED_WITH_WAITERS || name === undefined || !LOCKS.has(name)) return undefined;
  if (name !== RLOCK) return { kind: "Python lock", address: mutex, owner: undefined, isAnonymous: true };
  return { kind: "Python RLock", address: mutex, owner: await ownerOf(await reader.u64(mutex + 8n), setting), isAnonymous: false };
}

/** It is recorded as pthread_self(). */
async function ownerOf(ident: bigint | undefined, setting: LockSetting): Promise<Owner | undefined> {
  const tid = ident === undefined ? undefined : await threadOfSelf(ident, setting);
  return tid === undefined ? undefined : heldBy(setting.pid, tid);
}

/** Of the type of the object at an address; undefined where there is no such object. */
async function typeName(object: bigint, reader: MemoryReader): Promise<string | undefined> {
  const type = await reader.u64(object + 8n);
  const pointer = type === undefined ? undefined : await reader.u64(type + TYPE_NAME);
  if (pointer === undefined || pointer === 0n) return undefined;
  const bytes = (await reader.read(pointer, MOST_NAME)) ?? (await reader.read(pointer, Math.max(1, Number(4096n - (pointer % 4096n)))));
  const end = bytes?.indexOf(0) ?? -1;
  return end < 0 ? undefined : bytes?.subarray(0, Math.min(end, MOST_NAME)).toString("latin1");
}

/** Memory that is searched for the objects that point to semaphores, at most, in bytes. */
const MOST_SEARCHED = 256 << 20;
const PIECE = 1 << 20;
const MOST_REFERENCES = 0xffffffffn;

/**
 * The locks of Python before 3.13.1 that are semaphores at these addresses: what points to one is found in the private memory of the
 * process, read once for all of them.
 */
export async function semaphoreLocks(
  addresses: ReadonlySet<bigint>,
  setting: LockSetting,
  step: (count: number) => void,
): Promise<Map<bigint, LockWait>> {
  const found = new Map<bigint, LockWait>();
  const ambiguous = new Set<bigint>();
  const { reader } = setting;
  // Nearly every word is none: numbers tell that sooner than bigints.
  const lower = new Set([...addresses].map((address) => Number(BigInt.asUintN(32, address))));
  let left = MOST_SEARCHED;
  for (const region of reader.regions) {
    if (!mayHoldObjects(region)) continue;
    for (let at = region.start; at < region.end && left > 0;) {
      const length = Number(region.end - at < BigInt(PIECE) ? region.end - at : BigInt(PIECE));
      left -= length;
      const bytes = await reader.written(at, length);
      for (const [start, part] of bytes) {
        step(part.length >> 6);
        for (let offset = 0; offset + 8 <= part.length; offset += 8) {
          if (!lower.has(part.readUInt32LE(offset))) continue;
          const address = part.readBigUInt64LE(offset);
          const lock = addresses.has(address) ? await semaphoreLock(start + BigInt(offset) - OBJECT_HEAD, address, setting) : undefined;
          if (lock === undefined) continue;
          // What is left of an object that is gone looks like one: of two, neither is believed.
          if (found.has(address)) ambiguous.add(address);
          found.set(address, lock);
        }
      }
      at += BigInt(length);
    }
  }
  for (const address of ambiguous) found.delete(address);
  return found;
}

function mayHoldObjects({ kind, access }: Region): boolean {
  return (kind === "anonymous" || kind === "heap") && access.startsWith("rw");
}

/** The object that has a semaphore as its lock, at 16; an RLock has its owner's ident at 24, and how often at 32. */
async function semaphoreLock(object: bigint, address: bigint, setting: LockSetting): Promise<LockWait | undefined> {
  const { reader } = setting;
  const name = await typeName(object, reader);
  const references = (await reader.u64(object)) ?? 0n;
  // Where an object is gone, the allocator has a pointer in the place of the count.
  if (name === undefined || !LOCKS.has(name) || references === 0n || references > MOST_REFERENCES) return undefined;
  if (name !== RLOCK) return { kind: "Python lock", address, owner: undefined, isAnonymous: true };
  const count = await reader.u64(object + 32n);
  const owner = count === undefined || count === 0n ? undefined : await ownerOf(await reader.u64(object + 24n), setting);
  return { kind: "Python RLock", address, owner, isAnonymous: false };
}
