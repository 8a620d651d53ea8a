import { posix } from "node:path";
import { noteOf } from "../../../elf/reader.ts";
import type { Archive } from "../../../archive/archive.ts";
import { bufferSource } from "../../../archive/sources.ts";
import { coreOf } from "../../../cores/core.ts";
import { fileNote, processNotes, threadNotes, type MappedFile, type ProcessFacts } from "../../../cores/notes.ts";
import { segmentsOf, type FilePages } from "../../../cores/segments.ts";
import { SegmentTable } from "../../../cores/table.ts";
import { commandLine } from "../../../criu/arguments.ts";
import { commonsOf, type Commons } from "../../../criu/commons.ts";
import { Contents } from "../../../criu/contents.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { imageName } from "../../../criu/image.ts";
import { processMemory, type ProcessMemory } from "../../../criu/memory.ts";
import { pageSize as pageSizeOf } from "../../../criu/pagesize.ts";
import { attempt, notThere, type Tell } from "../../../criu/problems.ts";
import { noSuchProcess, processes, type Process } from "../../../criu/processes.ts";
import { registersOf } from "../../../criu/registers.ts";
import { coreOf as threadCore } from "../../../criu/threads.ts";
import type { Directory } from "../../../local/directory.ts";
import { writeNew } from "../../../local/write.ts";
import { UserError } from "../../../model/error.ts";
import { nameBytes } from "../../../model/name.ts";
import { say } from "../../../model/phrase.ts";
import type { WrittenRoot } from "../base/root.ts";
import { paidFor } from "./extract.ts";

/** A core that was written, with what a debugger has to be told. */
export interface ExtractedCore {
  readonly pid: number;
  readonly comm: string;
  readonly path: string;
  readonly bytes: number;
  /** Names the threads: for gdb's -x. */
  readonly threadNames: string;
  /** In the container: what runs; undefined where that is not known. */
  readonly executable: string | undefined;
  readonly architecture: string;
  readonly isPython: boolean;
  /** As its executable in the root tells. */
  readonly isGo: boolean;
}

/** What cores are made from. */
export interface CoreSetting {
  readonly archive: Archive;
  readonly signal: AbortSignal;
  readonly tell: Tell;
  /** Where the files of the container are, if they are: the first page of each that is mapped goes into the core. */
  readonly root: WrittenRoot | undefined;
}

/** The processes that have a core: the one that is asked for, else all that live. Throws NoSuchProcess, and where there is none. */
export async function coreProcesses(archive: Archive, pid: number | undefined, tell: Tell): Promise<Process[]> {
  const all = await processes(archive, tell);
  const chosen = pid === undefined ? all.filter(({ state }) => state !== "zombie") : all.filter((one) => one.pid === pid);
  if (pid !== undefined && chosen.length === 0) throw noSuchProcess(pid, all);
  if (chosen.some(({ state }) => state === "zombie") || chosen.length === 0)
    throw notThere(
      pid === undefined ? "no process of this checkpoint lives" : say`process ${pid} is a zombie`,
      "a process that has ended has neither memory nor threads",
    );
  return chosen;
}

/** Writes the core of a process, and beside it a file of commands that name its threads for gdb. Throws a UserError, and leaves nothing then. */
export async function writeCore(process: Process, directory: Directory, name: string, setting: CoreSetting): Promise<ExtractedCore> {
  const { archive, signal, tell, root } = setting;
  const { pid, comm } = process;
  const commons = commonsOf(archive);
  const table: FileTable = (await attempt(tell, commons.files)) ?? { files: new Map(), remaps: new Map() };
  const memory = await memoryFor(process, commons, setting);
  await using contents = new Contents(archive, commons, memory.pageSize, signal);
  using lease = archive.budget.lease(imageName(`mm-${pid}.img`));
  const files: MappedFile[] = [];
  for (const { start, end, offset, fileId } of memory.space.mappings ?? []) {
    const file = fileId === undefined ? undefined : table.files.get(fileId)?.name;
    if (file === undefined) continue;
    lease.keep(1, file.length);
    files.push({ start, end, offset, path: nameBytes(file) });
  }
  const executable = table.files.get(memory.space.exeId ?? -1)?.name;
  const facts = await factsOf(process, memory, executable, tell);
  const threads = await readableThreads(process, setting);
  const segments = new SegmentTable();
  for await (const segment of segmentsOf({ memory, contents, tell, filePages: firstPages(table, root, memory.pageSize) }))
    segments.add(segment, lease);
  const core = await coreOf({
    architecture: threads.architecture,
    pageSize: memory.pageSize,
    notes: async function* () {
      for (const [index, { tid }] of threads.all.entries()) {
        signal.throwIfAborted();
        const entry = await threadCore(archive, tid);
        const registers = registersOf(entry, imageName(`core-${tid}.img`));
        const blocked = entry.threadCore?.blkSigset || (entry.tc?.blkSigset ?? 0n);
        const ofProcess = index > 0 ? [] : [...processNotes(facts), fileNote(files, memory.pageSize)];
        if (registers !== undefined) yield* threadNotes(tid, registers, blocked, facts, ofProcess);
      }
    },
    segments,
  });
  await directory.ensureRoom(name, core.bytes);
  const bytes = await writeNew(directory, name, paidFor(core.pieces(), archive.budget), signal);
  const names = `${name}.gdb`;
  await writeNew(directory, names, nameCommands(threads.all), signal);
  return {
    pid,
    comm,
    path: directory.pathOf(name),
    bytes,
    threadNames: directory.pathOf(names),
    executable,
    architecture: threads.architecture,
    isGo: await isGoProgram(executable, root),
    isPython: files.some(({ path }) => /(^|\/)(lib)?python\d[^/]*$/.test(path.toString("latin1"))),
  };
}

/** By the first page of a file debuggers see whether another one that they find under its name is the same: it has the build ID. */
function firstPages({ files }: FileTable, root: WrittenRoot | undefined, pageSize: number): FilePages {
  return async ({ fileId, offset, start: base }, start) => {
    const name = files.get(fileId ?? -1)?.name;
    if (root === undefined || name === undefined || offset + (start - base) !== 0n) return undefined;
    const source = await root.open(name);
    if (source === undefined) return undefined;
    const page = Buffer.alloc(pageSize);
    (await source.read(0, Math.min(pageSize, source.size))).copy(page);
    return bufferSource(page);
  };
}

async function isGoProgram(executable: string | undefined, root: WrittenRoot | undefined): Promise<boolean> {
  const source = executable === undefined ? undefined : await root?.open(executable);
  return source !== undefined && (await noteOf(source, "Go", NT_GO_BUILD_ID)) !== undefined;
}

/** What Go's linker puts into every program. */
const NT_GO_BUILD_ID = 4;

async function memoryFor({ pid }: Process, commons: Commons, { archive, tell }: CoreSetting): Promise<ProcessMemory> {
  const size = await pageSizeOf(archive);
  const memory = size === undefined ? undefined : await processMemory(archive, pid, size, tell, commons);
  if (memory === undefined) throw notThere(say`the archive has no memory of process ${pid}`, "without memory a core has nothing to show");
  return memory;
}

async function factsOf(process: Process, memory: ProcessMemory, executable: string | undefined, tell: Tell): Promise<ProcessFacts> {
  const { pid, ppid, pgid, sid, comm, threads } = process;
  const leader = threads.find(({ tid }) => tid === pid);
  const words = await attempt(tell, async () => await commandLine(memory));
  const args = words !== undefined && "words" in words ? words.words : [comm];
  return {
    pid,
    ppid,
    pgid,
    sid,
    // Debuggers compare it with the name of the program, which is not always that of the thread.
    name: nameBytes(posix.basename(executable ?? comm)),
    commandLine: nameBytes(args.join(" ")),
    uid: leader?.credentials?.uid.real ?? 0,
    gid: leader?.credentials?.gid.real ?? 0,
    nice: leader?.nice ?? 0,
    auxv: memory.space.auxv,
    end: memory.space.mappings?.at(-1)?.end ?? 0n,
  };
}

/** Those whose registers are there, the main thread first; what is wrong with others goes to `tell`. */
async function readableThreads({ pid, threads }: Process, { archive, tell }: CoreSetting) {
  const found: { readonly tid: number; readonly comm: string }[] = [];
  let architecture: "x86-64" | "aarch64" | undefined;
  let others = "";
  for (const { tid, comm, architecture: own } of threads) {
    const registers = await attempt(tell, async () => registersOf(await threadCore(archive, tid), imageName(`core-${tid}.img`)));
    if (registers === undefined) others = own;
    architecture ??= registers?.architecture;
    if (registers !== undefined && registers.architecture === architecture) found.push({ tid, comm });
  }
  if (architecture === undefined) {
    throw new UserError({
      reason: "CoreNotPossible",
      message: say`no core of process ${pid} can be written: the registers of its threads are not readable`,
      why: others === "" ? undefined : say`cores are written of 64-bit programs on x86-64 and aarch64; this one is of ${others}`,
    });
  }
  const missing = threads.length - found.length;
  if (missing > 0)
    tell(
      notThere(say`${missing} of the ${threads.length} threads of process ${pid} are not in its core`, "their registers are not readable"),
    );
  return { architecture, all: [...found.filter(({ tid }) => tid === pid), ...found.filter(({ tid }) => tid !== pid)] };
}

/** Commands for gdb: threads are numbered in the order of their notes. Names have no control characters (nameText). */
async function* nameCommands(threads: readonly { readonly comm: string }[]): AsyncGenerator<Buffer> {
  yield Buffer.from("# gdb -x: cores have no names of threads\nset pagination off\n");
  for (const [index, { comm }] of threads.entries())
    if (comm !== "") yield Buffer.from(`thread apply ${index + 1} -q thread name ${comm}\n`);
}
