import { isWaitingFutex, type Call } from "../calls.ts";
import { glibcMutex, glibcReadWriteLock, glibcStream, joinedThread, priorityMutex } from "./glibc.ts";
import { muslMutex, muslStream } from "./musl.ts";
import { pythonLock } from "./python.ts";
import type { FutexWait, LockSetting, LockWait } from "./wait.ts";

/**
 * What a thread waits for on a futex, by what is in memory around it; undefined where it waits on none. Each kind is believed only where
 * all its fields are as they have to be: what is left is a futex of which nothing is known.
 */
export async function lockOf(call: Call, tid: number, stack: bigint, setting: LockSetting): Promise<LockWait | undefined> {
  const wait = await futexWait(call, tid, stack, setting);
  if (wait === undefined) return undefined;
  const { address } = wait.futex;
  return (
    priorityMutex(wait, setting) ??
    joinedThread(wait, setting) ??
    (await glibcStream(wait, setting)) ??
    (setting.libc === "musl" ? undefined : await glibcMutex(wait, setting)) ??
    (setting.libc === "musl" ? undefined : await glibcReadWriteLock(wait, setting)) ??
    (await muslMutex(wait, setting)) ??
    muslStream(wait, setting) ??
    (await pythonLock(wait, setting)) ?? { kind: "futex", address, owner: undefined, isAnonymous: false }
  );
}

/** aarch64 does not tell a call that is over from one that waits, but by what it leaves: the result in the place of the address. */
async function futexWait(call: Call, tid: number, stack: bigint, { reader }: LockSetting): Promise<FutexWait | undefined> {
  const { futex, state, isLimited } = call;
  if (futex === undefined || state === "returned" || !isWaitingFutex(futex) || futex.address % 4n !== 0n) return undefined;
  const word = await reader.u32(futex.address);
  if (word === undefined || (state === "last" && word !== futex.value && !futex.operation.startsWith("LOCK_PI"))) return undefined;
  return { futex, word, hasTimeout: isLimited, tid, stack };
}
