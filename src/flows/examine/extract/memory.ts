import type { Archive } from "../../../archive/archive.ts";
import type { Budget } from "../../../archive/budget.ts";
import { commonsOf } from "../../../criu/commons.ts";
import { Contents } from "../../../criu/contents.ts";
import { processMemory, type ProcessMemory } from "../../../criu/memory.ts";
import { pageSize } from "../../../criu/pagesize.ts";
import type { Tell } from "../../../criu/problems.ts";
import { readMemory, type Absence } from "../../../criu/read.ts";
import type { AddressRange, Region } from "../../../criu/regions.ts";
import { openDestination } from "../../../local/destination.ts";
import { createNew, writeNew, type NewFile, type Written } from "../../../local/write.ts";
import { UserError } from "../../../model/error.ts";
import { command, say } from "../../../model/phrase.ts";
import { paidFor, type Extracted } from "./extract.ts";

/** Untouched memory of up to this many bytes between two pieces becomes zeros; after more of it a new file begins. */
const LARGEST_GAP = 1n << 20n;

/** The memory of a process, with what the archive has of the files that are mapped into it. */
export interface MappedMemory extends AsyncDisposable {
  readonly budget: Budget;
  readonly memory: ProcessMemory;
  readonly contents: Contents;
}

/** What is missing of it goes to `tell`. Throws a UserError where the archive has no memory of such a process. */
export async function memoryOf(archive: Archive, pid: number, signal: AbortSignal, tell: Tell): Promise<MappedMemory> {
  const size = await pageSize(archive);
  const commons = commonsOf(archive);
  const memory = size === undefined ? undefined : await processMemory(archive, pid, size, tell, commons);
  if (memory === undefined) {
    throw new UserError({
      reason: "NoSuchProcess",
      message: say`the archive has no memory of a process ${pid}`,
      fix: "kubectl checkpoint inspect FILE --ps lists its processes",
    });
  }
  const contents = new Contents(archive, commons, size, signal);
  return { budget: archive.budget, memory, contents, [Symbol.asyncDispose]: async () => await contents[Symbol.asyncDispose]() };
}

/** The bytes of a range, exactly as many as it has. Throws a UserError at the first that is not in the archive: none is ever made up. */
export async function* rangeBytes({ memory, contents }: MappedMemory, range: AddressRange): AsyncGenerator<Written, void> {
  for await (const piece of readMemory(memory, range, { contents })) {
    if ("bytes" in piece) yield piece.bytes;
    else if (piece.absent === "untouched") yield Number(piece.end - piece.start);
    else throw notInArchive(piece, piece.absent, range);
  }
}

const WHY: Readonly<Record<Exclude<Absence, "untouched">, string>> = {
  unmapped: "the process has nothing mapped there",
  file: "it is as in the mapped file, which is not in the archive",
  kernel: "the kernel creates it again when the process is restored",
  unknown: "what is mapped there stands in the image of its mappings, which is missing",
  parent: "it is in an earlier checkpoint that this one builds on: --previous FILE names it",
  lazy: "it was left on the node, to be sent when a restored process touches it",
  lost: "the image that describes it is missing",
};

function notInArchive({ start, end }: AddressRange, absent: Exclude<Absence, "untouched">, range: AddressRange): UserError {
  return new UserError({
    reason: "NotInArchive",
    message: say`memory at ${addresses({ start, end })} is not in the archive`,
    why: WHY[absent],
    fix:
      start > range.start
        ? say`ask for what is before it: ${command`--range ${addresses({ start: range.start, end: start })}`}`
        : "without --range, all that is there is written, a file for each piece",
  });
}

/** Writes a range as one new file, called `name` or as `to` says. Throws a UserError, and then leaves nothing. */
export async function* writeRange(
  mapped: MappedMemory,
  range: AddressRange,
  name: string,
  to: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Extracted, void> {
  await using destination = await openDestination(to);
  const { directory } = destination;
  const place = destination.nameFor(name);
  const bytes = await writeNew(directory, place, paidFor(rangeBytes(mapped, range), mapped.budget), signal);
  yield { from: addresses(range), path: directory.pathOf(place), bytes };
}

/** All addresses that there can be. */
const EVERYWHERE = { start: 0n, end: 1n << 64n };

/**
 * Writes all of a process's memory that is in the archive into a new directory, called `name` or as `to` says, a file for each piece
 * without a gap, named by the address of its first byte and the kind of its region. Throws a UserError, after all that is there, where
 * an image of shared memory or of a mapped file is missing.
 */
export async function* writeMemory(
  { budget, memory, contents }: MappedMemory,
  name: string,
  to: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Extracted, void> {
  const { regions } = memory;
  await using destination = await openDestination(to);
  await using directory = await destination.directory.makeDirectory(destination.nameFor(name));
  let current: { file: NewFile; path: string; region: Region | undefined; start: bigint; end: bigint } | undefined;
  const finish = async function* (): AsyncGenerator<Extracted, void> {
    if (current === undefined) return;
    const { file, path, start, end } = current;
    const bytes = await file.finish();
    await file[Symbol.asyncDispose]();
    current = undefined;
    yield { from: addresses({ start, end }), path, bytes };
  };
  let at = 0;
  let lost: UserError | undefined;
  try {
    for await (const piece of readMemory(memory, EVERYWHERE, { contents, tell: (problem) => (lost ??= problem) })) {
      signal.throwIfAborted();
      const { start, end } = piece;
      while (at < regions.length && (regions[at]?.end ?? 0n) <= start) at += 1;
      const next = regions[at];
      const region = next !== undefined && next.start <= start ? next : undefined;
      const joins = current !== undefined && current.region === region && start - current.end <= LARGEST_GAP;
      if (!joins || (!("bytes" in piece) && piece.absent !== "untouched")) yield* finish();
      if (!("bytes" in piece)) continue;
      if (current === undefined) {
        const file = `${start.toString(16)}.${region?.kind ?? "unmapped"}.bin`;
        current = { file: await createNew(directory, file), path: directory.pathOf(file), region, start, end: start };
      }
      current.file.skip(Number(start - current.end));
      budget.write(piece.bytes.length);
      await current.file.append(piece.bytes);
      current.end = end;
    }
    yield* finish();
    if (lost !== undefined) throw lost;
  } finally {
    await current?.file[Symbol.asyncDispose]();
  }
}

/** As /proc/PID/maps writes a range, with 0x. */
export function addresses({ start, end }: AddressRange): string {
  return `0x${start.toString(16)}-0x${end.toString(16)}`;
}
