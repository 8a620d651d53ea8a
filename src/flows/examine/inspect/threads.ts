import type { Archive } from "../../../archive/archive.ts";
import { Contents } from "../../../criu/contents.ts";
import { imageName } from "../../../criu/image.ts";
import { memoryOf } from "../../../criu/memory.ts";
import { hex } from "../../../criu/numbers.ts";
import { attempt } from "../../../criu/problems.ts";
import type { Process } from "../../../criu/processes.ts";
import { regionAt, type Region } from "../../../criu/regions.ts";
import { registersOf, type Registers } from "../../../criu/registers.ts";
import { coreOf } from "../../../criu/threads.ts";
import { symbolsAt } from "../../../elf/symbols.ts";
import type { CallDescriptorItem, DeadlockItem, LockItemOfThread, ThreadCallItem, ThreadItem } from "../../../model/inspection.ts";
import { callOf, type Call, type CallDescriptor } from "../../../threads/calls.ts";
import { lockOf } from "../../../threads/locks/lock.ts";
import { semaphoreLocks } from "../../../threads/locks/python.ts";
import type { LockSetting, LockWait } from "../../../threads/locks/wait.ts";
import { MemoryReader } from "../../../threads/memory.ts";
import { moduleAt, type Module } from "../../../threads/modules.ts";
import type { Connections } from "./connections.ts";
import type { Setting } from "./process.ts";
import { Programs } from "./programs.ts";
import { deadlockItems, type Checkpoint } from "./waits.ts";

/** What a thread did, beside what `ps` has of it. */
export type ThreadDetails = Pick<ThreadItem, "registers" | "instruction" | "call" | "waitsFor">;

export interface AllThreads {
  /** By thread id, which no two processes of a container have in common. */
  readonly details: ReadonlyMap<number, ThreadDetails>;
  readonly deadlocks: readonly DeadlockItem[];
}

/** A thread as it is looked at. */
export interface SeenThread {
  readonly pid: number;
  readonly tid: number;
  readonly registers: Registers;
  readonly call: Call | undefined;
  lock: LockWait | undefined;
  readonly module: Module | undefined;
  symbol: string | undefined;
}

/** Each thread is charged so many objects: registers, a call with its arguments. */
const ITEMS_PER_THREAD = 8;
/** Of a module, symbols of so many addresses are looked up. */
const MOST_SYMBOLS = 256;

/** What each thread was doing, and who waits for whom. What cannot be read of it goes to `tell`. */
export async function threadDetails(
  archive: Archive,
  { processes: all, isWhole }: Checkpoint,
  setting: Setting,
  connections: Connections,
  root: string | undefined,
): Promise<AllThreads> {
  const processOf = new Map(all.flatMap(({ pid, threads }) => threads.map(({ tid }) => [tid, pid] as const)));
  const seen: SeenThread[] = [];
  await using contents = new Contents(archive, setting.commons, setting.pageSize, new AbortController().signal);
  await using programs = new Programs(contents, root, setting.table, setting.tell);
  for (const process of all) {
    for (const thread of await threadsOf(archive, process, { processOf, isWhole, programs }, setting, connections)) seen.push(thread);
  }
  await findSymbols(seen, programs, setting);
  const details = new Map(seen.map((thread) => [thread.tid, detailsOf(thread, connections)]));
  return { details, deadlocks: deadlockItems(seen, { processes: all, isWhole }, connections) };
}

/** What is known of all processes. */
interface Others {
  readonly processOf: ReadonlyMap<number, number>;
  readonly isWhole: boolean;
  readonly programs: Programs;
}

async function threadsOf(
  archive: Archive,
  process: Process,
  others: Others,
  { pageSize, commons, table, tell }: Setting,
  connections: Connections,
): Promise<SeenThread[]> {
  const { pid, threads } = process;
  using lease = archive.budget.lease(`checkpoint/pagemap-${pid}.img`);
  // What is wrong with its memory was said where the process was looked at.
  const silently = (): void => {};
  const memory =
    pageSize === undefined ? undefined : await attempt(silently, async () => await memoryOf(archive, process, pageSize, silently, commons));
  const reader = memory && (await attempt(tell, async () => await MemoryReader.of(memory, lease)));
  const open = new Set(connections.descriptors.get(pid)?.map(({ fd }) => fd));
  const seen: SeenThread[] = [];
  for (const { tid } of threads) {
    const image = imageName(`core-${tid}.img`);
    archive.budget.keep(image, ITEMS_PER_THREAD);
    const thread = await attempt(tell, async (): Promise<SeenThread | undefined> => {
      const core = await coreOf(archive, tid);
      const registers = registersOf(core, image);
      if (registers === undefined) return undefined;
      const code = async (address: bigint): Promise<Buffer | undefined> =>
        memory === undefined ? undefined : await instructionAt(address, memory.regions, reader, others.programs);
      const call = await callOf(core, image, { reader, code, isOpen: (fd) => open.has(fd) });
      const module = memory && moduleAt(registers.instruction, memory.regions, table);
      return { pid, tid, registers, call, lock: undefined, module, symbol: undefined };
    });
    if (thread !== undefined) seen.push(thread);
  }
  if (reader !== undefined) await attempt(tell, async () => await findLocks(seen, process, others, reader, connections, archive));
  return seen;
}

/** Of aarch64, where each has as many bytes: from the memory in the archive, else of the file that is mapped there. */
async function instructionAt(
  address: bigint,
  regions: readonly Region[],
  reader: MemoryReader | undefined,
  programs: Programs,
): Promise<Buffer | undefined> {
  if (address % INSTRUCTION_BYTES !== 0n) return undefined;
  const region = regionAt(regions, address);
  const own = await reader?.read(address, Number(INSTRUCTION_BYTES));
  if (own !== undefined || region?.fileId === undefined) return own;
  const source = await programs.of(region.fileId);
  const offset = region.offset + (address - region.start);
  if (source === undefined || offset + INSTRUCTION_BYTES > BigInt(source.size)) return undefined;
  return await source.read(Number(offset), Number(INSTRUCTION_BYTES));
}

const INSTRUCTION_BYTES = 4n;

async function findLocks(
  seen: readonly SeenThread[],
  { pid, threads }: Process,
  { processOf, isWhole }: Pick<Others, "processOf" | "isWhole">,
  reader: MemoryReader,
  { table }: Connections,
  { budget }: Archive,
): Promise<void> {
  const files = new Set(
    reader.regions.flatMap(
      ({ fileId }) =>
        table.files
          .get(fileId ?? -1)
          ?.name.split("/")
          .at(-1) ?? [],
    ),
  );
  const some = (pattern: RegExp): boolean => [...files].some((name) => pattern.test(name));
  const first = seen[0];
  if (first === undefined) return;
  const setting: LockSetting = {
    pid,
    tids: new Set(threads.map(({ tid }) => tid)),
    isWhole,
    byThreadPointer: new Map(seen.map(({ tid, registers }) => [registers.threadPointer, tid])),
    threadPointers: new Map(seen.map(({ tid, registers }) => [tid, registers.threadPointer])),
    byClearTid: ownWords(seen),
    architecture: first.registers.architecture,
    libc: some(/^(libc\.so\.6|libc-2\.\d+\.so)$/) ? "glibc" : some(/^(ld-musl-.*|libc\.musl-.*)$/) ? "musl" : "unknown",
    isPython: some(/^(lib)?python\d/),
    processOf: (tid) => processOf.get(tid),
    reader,
  };
  const semaphores = new Set<bigint>();
  for (const thread of seen) {
    const { call, tid, registers } = thread;
    thread.lock = call && (await lockOf(call, tid, registers.stack, setting));
    if (setting.isPython && thread.lock?.kind === "futex") semaphores.add(thread.lock.address);
  }
  if (semaphores.size === 0) return;
  const locks = await semaphoreLocks(semaphores, setting, (count) => budget.step(count));
  for (const thread of seen) thread.lock = locks.get(thread.lock?.address ?? -1n) ?? thread.lock;
}

/** Where the kernel writes 0 for one thread alone: musl has the same word for all. */
function ownWords(seen: readonly SeenThread[]): Map<bigint, number> {
  const words = new Map<bigint, number>();
  const shared = new Set<bigint>([0n]);
  for (const { tid, registers } of seen) {
    if (words.has(registers.clearTid)) shared.add(registers.clearTid);
    words.set(registers.clearTid, tid);
  }
  for (const word of shared) words.delete(word);
  return words;
}

/** The functions that threads are in, where the bytes of their modules are to be had. */
async function findSymbols(seen: readonly SeenThread[], programs: Programs, { tell }: Setting): Promise<void> {
  for (const [fileId, threads] of Map.groupBy(seen, ({ module }) => module?.fileId)) {
    if (fileId === undefined) continue;
    const offsets = [...new Set(threads.flatMap(({ module }) => module?.offset ?? []))].slice(0, MOST_SYMBOLS);
    const symbols = await attempt(tell, async () => {
      const source = await programs.of(fileId);
      return source && (await symbolsAt(source, offsets));
    });
    for (const thread of threads) {
      const symbol = symbols?.get(thread.module?.offset ?? -1n);
      if (symbol !== undefined) thread.symbol = symbol.offset === 0 ? symbol.name : `${symbol.name}+${hex(symbol.offset)}`;
    }
  }
}

function detailsOf({ pid, registers, call, lock, module, symbol }: SeenThread, connections: Connections): ThreadDetails {
  return {
    registers: Object.fromEntries(registers.general.map(([name, value]) => [name, hex(value)])),
    instruction: {
      address: hex(registers.instruction),
      ...(module === undefined ? {} : { module: module.name, offset: hex(module.offset) }),
      ...(symbol === undefined ? {} : { symbol }),
    },
    ...(call === undefined ? {} : { call: callItem(pid, call, connections) }),
    ...(lock === undefined ? {} : { waitsFor: lockItem(lock) }),
  };
}

function callItem(pid: number, call: Call, connections: Connections): ThreadCallItem {
  const { name, number, state, result, args, probably, descriptors, timeout, futex, child } = call;
  return {
    ...(name === undefined ? {} : { name }),
    number,
    state,
    ...(result === undefined ? {} : { result: String(result) }),
    arguments: args.map(hex),
    ...(probably === undefined ? {} : { probably }),
    ...(descriptors.length === 0 ? {} : { descriptors: descriptors.map((one) => descriptorItem(pid, one, connections)) }),
    ...(timeout === undefined
      ? {}
      : "clock" in timeout
        ? { until: { clock: timeout.clock, seconds: timeout.until } }
        : { timeoutSeconds: timeout.seconds }),
    ...(futex === undefined
      ? {}
      : { futex: { address: hex(futex.address), operation: futex.operation, private: futex.isPrivate, value: futex.value } }),
    ...(child === undefined ? {} : { child }),
  };
}

function descriptorItem(pid: number, { fd, events }: CallDescriptor, connections: Connections): CallDescriptorItem {
  const { table, descriptors } = connections;
  const all = descriptors.get(pid);
  const fileOf = (wanted: number) => table.files.get(all?.find((one) => one.fd === wanted)?.fileId ?? -1);
  const file = fileOf(fd);
  const asked = events.length === 0 ? {} : { events };
  if (file === undefined) return { fd, type: all === undefined ? "unknown" : "closed", name: "", ...asked };
  const { type, name, socket, pipeId, watches } = file;
  const isConnected = pipeId !== undefined || socket?.peer !== undefined || (socket !== undefined && socket.remote !== "");
  return {
    fd,
    type,
    name,
    ...asked,
    ...(socket === undefined
      ? {}
      : {
          protocol: socket.protocol,
          ...(socket.state === undefined ? {} : { state: socket.state }),
          local: socket.local,
          remote: socket.remote,
        }),
    ...(isConnected ? { otherEnds: connections.others(file) } : {}),
    ...(watches === undefined
      ? {}
      : {
          watches: watches.map((watch) => ({ fd: watch.fd, type: fileOf(watch.fd)?.type ?? "closed", name: fileOf(watch.fd)?.name ?? "" })),
        }),
  };
}

function lockItem({ kind, address, owner, isAnonymous }: LockWait): LockItemOfThread {
  return {
    kind,
    address: hex(address),
    ...(owner === undefined
      ? {}
      : { owner: { tid: owner.tid, ...(owner.pid === undefined ? {} : { pid: owner.pid }), exists: owner.kind === "thread" } }),
    ...(isAnonymous ? { anonymous: true } : {}),
  };
}
