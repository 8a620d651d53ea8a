import type { AddressRange } from "../criu/regions.ts";
import { writeNamed, type Extracted } from "../flows/examine/extract/extract.ts";
import { memoryOf, rangeBytes, writeMemory, writeRange, type MappedMemory } from "../flows/examine/extract/memory.ts";
import type { Written } from "../local/write.ts";
import { find, type Skipped } from "../flows/examine/extract/named.ts";
import { API_VERSION } from "../model/documents.ts";
import { UserError, usageError } from "../model/error.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { formatBytes, parseBytes } from "../model/units.ts";
import { damages, fileWord, openCheckpoint, orOffered, PREVIOUS, volumesBeside } from "./shared/archives.ts";
import { BASE_IMAGE, COMMON, output, PID } from "./shared/common.ts";
import { noted, PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { on, parsed, text } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export interface ExtractRequest {
  readonly file: string;
  /** The archive of the checkpoint before. */
  readonly previous: string | undefined;
  readonly registry: ReadingSettings;
  /** How much may be written, in bytes. */
  readonly maxBytes: number | undefined;
  readonly what:
    | { readonly kind: "path"; readonly path: string }
    | { readonly kind: "memory"; readonly pid: number; readonly range: AddressRange | undefined }
    | { readonly kind: "core"; readonly pid: number | undefined }
    | { readonly kind: "root" };
  /** Of the image that files come from that the archive does not have: "" is the one that it names. */
  readonly base: string | undefined;
  /** "-" is stdout; undefined is the working directory. */
  readonly to: string | undefined;
}

export const verb = defineVerb({
  name: "extract",
  summary: "Extract a file, the memory of a process or its core from an archive",
  usage: [
    "extract FILE PATH [--to DEST]",
    "extract FILE --pid PID [--range START-END] [--to DEST]",
    "extract FILE --core [--pid PID] [--base-image[=REFERENCE]] [--to DEST]",
    "extract FILE / --base-image[=REFERENCE] [--to DIR]",
  ],
  description: `Extract from an archive on this machine: a file that the container changed, a file that was deleted while it was open, a member of
the archive, the memory of a process, or a core for debuggers.

A PATH that starts with a slash is a path in the container. memfd:NAME (memfd:[INODE] if several have that name) is anonymous memory
and sysv:ID a System V segment; inspect --files --ipc lists them. Any other PATH is a member of the archive. Names are used as they are
printed, with \\xNN for bytes that are not text. A directory is extracted with its files; symbolic links, special files and mount points
are skipped and counted. If anything but mount points was skipped, or could not be read, the exit status is 3.
Unmodified files of the image are not in an archive, nor are volumes, except for the named volumes of Podman and those that
were copied with it (--volumes): volume:NAME/PATH is a file in one that this container did not mount.

--pid writes the memory of a process to a new directory, one file for each contiguous piece. --range writes one range of addresses to one
file; memory that was never used reads as zeros, and a byte that is not in the archive is an error.

--core writes an ELF core that gdb, lldb, delve, py-spy and readelf read: core.PID, or one for each process in a new directory, each with a
file of commands that names its threads for gdb. Program code is not in an archive: --base-image writes the root file system of the image
beside the cores, which debuggers need, after it has compared its programs and libraries with those that were mapped.

/ with --base-image writes what the container saw: the layers of its image, pulled by digest, and its changes over them. Devices are not
created, links stay inside DIR, and modes and owners are only listed, in DIR/.kubectl-checkpoint-modes.tsv.

Files are written with mode 0600 inside DEST; none is replaced, and no link is followed.`,
  examples: [
    {
      what: "A file that the container wrote",
      command: "kubectl checkpoint extract nginx.tar /var/log/nginx/error.log",
    },
    { what: "All changes in the root file system", command: "kubectl checkpoint extract nginx.tar / --to changes" },
    { what: "CRIU's log", command: "kubectl checkpoint extract nginx.tar dump.log --to - | less" },
    { what: "All memory of process 1", command: "kubectl checkpoint extract nginx.tar --pid 1 --to nginx-memory" },
    { what: "A core of process 7, for gdb", command: "kubectl checkpoint extract nginx.tar --core --pid 7" },
    {
      what: "Two pages, with addresses from inspect --memory or search",
      command: "kubectl checkpoint extract nginx.tar --pid 1 --range 0x7ffd3a1c0000-0x7ffd3a1c2000 --to stack.bin",
    },
  ],
  flags: {
    pid: { ...PID, help: "process, by its PID in the container" },
    "base-image": BASE_IMAGE,
    core: on("write ELF cores for debuggers"),
    range: parsed(addressRange, { value: "START-END", help: "addresses in hexadecimal; END is the first address after the range" }),
    to: text({ value: "DEST", help: "file or directory, - for standard output (default: the current directory)" }),
    "max-bytes": parsed(parseBytes, { value: "SIZE", help: "write at most this much (default: 4 times the archive)" }),
    previous: PREVIOUS,
    output: output("name", "json", "yaml"),
    ...PULL,
    ...COMMON,
  },
  request(words, { pid, range, core, to, previous, "max-bytes": maxBytes, "base-image": base, ...flags }): ExtractRequest {
    const file = fileWord("extract", words, " PATH");
    const [, path, more] = words;
    if (more !== undefined)
      throw usageError(say`unexpected argument "${more}": extract takes one PATH`, "a directory is extracted with everything in it");
    if ((path === undefined) === (pid === undefined && !core)) {
      throw usageError(
        path === undefined ? "PATH, --pid or --core is required" : `PATH and ${core ? "--core" : "--pid"} cannot be used together`,
        "/path/in/the/container, a member such as checkpoint/pstree.img, --pid PID [--range START-END], or --core [--pid PID]",
      );
    }
    if (path === "") throw usageError("PATH is empty");
    if (range !== undefined && pid === undefined) throw usageError("--range requires --pid");
    if (to === "") throw usageError("--to is empty");
    if (core && range !== undefined) throw usageError("--core and --range cannot be used together");
    if (core && to === "-") throw usageError("a core cannot be written to standard output");
    if (base !== undefined && !core && path !== "/") throw usageError("--base-image requires --core, or / as PATH");
    if (base !== undefined && to === "-") throw usageError("a root file system cannot be written to standard output");
    const common = { file, previous, registry: registrySettings(flags), maxBytes, to, base };
    if (base !== undefined && !core) return { ...common, what: { kind: "root" } };
    if (core) return { ...common, what: { kind: "core", pid } };
    if (pid === undefined) return { ...common, what: { kind: "path", path: path ?? "" } };
    if (to === "-" && range === undefined) throw usageError("--to - requires --range: only one range can be written to standard output");
    return { ...common, what: { kind: "memory", pid, range } };
  },
  async *run({ file: given, previous, registry, maxBytes, what, to, base }, call) {
    const [file = given] = await orOffered([given], call);
    // A directory of a pod's archive is a member of it.
    const pods = what.kind === "path" && !what.path.startsWith("/");
    await noted(call, registry, "extract", previous === undefined ? [file] : [file, previous]);
    const reading = pulling(call, registry);
    await using archive = await openCheckpoint(file, previous, { ...reading, pods });
    if (maxBytes !== undefined) archive.budget.allowWriting(maxBytes);
    if (what.kind === "core") {
      const { extractCores } = await import("./extract/core.ts");
      return yield* extractCores({ archive, pid: what.pid, to, base, problems: damages(file, archive) }, { ...call, ...reading });
    }
    if (what.kind === "root") {
      const { extractRoot } = await import("./extract/root.ts");
      return yield* extractRoot({ archive, to, base: base ?? "", problems: damages(file, archive) }, { ...call, ...reading });
    }
    if (what.kind === "memory") {
      const problems = damages(file, archive);
      await using memory = await memoryOf(archive, what.pid, call.signal, (problem) => problems.push(problem));
      if (to === "-" && what.range !== undefined) return yield* toStdout(rangeBytes(memory, what.range), problems);
      return yield* report(writeProcess(memory, what, to, call.signal), problems);
    }
    const around: UserError[] = [];
    await using volumes = await volumesBeside(file, archive.budget, reading, (error) => around.push(error));
    await using named = await find(archive, what.path, call.signal, volumes);
    const problems = [...damages(file, archive), ...around, ...named.problems];
    for (const text of skippedTexts(what.path, named.skipped)) call.emit({ kind: "warning", text });
    if (to !== "-")
      return yield* report(writeNamed(named, to, archive.budget, call.signal), problems, named.isDirectory ? named.skipped : undefined);
    const [only] = named.files;
    if (named.isDirectory || only?.bytes === undefined)
      throw usageError(say`${what.path} is a directory: only one file can be written to standard output`);
    return yield* toStdout(only.bytes(), problems);
  },
});

/** Addresses as /proc/PID/maps writes them, with or without 0x; END is the first address after the range. */
function addressRange(text: string, name: string): AddressRange {
  const [, first, last] = /^(?:0x)?([0-9a-f]{1,16})-(?:0x)?([0-9a-f]{1,16})$/i.exec(text) ?? [];
  const start = BigInt(`0x${first ?? "0"}`);
  const end = BigInt(`0x${last ?? "0"}`);
  if (end <= start) throw usageError(say`invalid value "${text}" for ${name}: use START-END in hexadecimal, such as 0x7ffd1000-0x7ffd3000`);
  return { start, end };
}

/** Whether something that the archive has was skipped: what is at mount points it has not. */
function isPartial(skipped: Skipped | undefined): boolean {
  return skipped !== undefined && skipped.symbolicLinks + skipped.special + skipped.names.length > 0;
}

/** Of hostile names so many are listed. */
const MOST_NAMES = 20;

function* skippedTexts(path: string, { symbolicLinks, special, mountPoints, names }: Skipped): Generator<Phrase> {
  if (symbolicLinks > 0) yield say`${path}: symbolic links were skipped: ${symbolicLinks}`;
  if (special > 0) yield say`${path}: special files were skipped: ${special}`;
  if (mountPoints > 0) yield say`${path}: mount points were skipped, whose contents are not in the archive: ${mountPoints}`;
  for (const { name, why } of names.slice(0, MOST_NAMES)) yield say`${path}: skipped ${name}, which ${why}`;
  if (names.length > MOST_NAMES) yield say`${path}: skipped ${names.length - MOST_NAMES} more such names`;
}

async function* toStdout(bytes: AsyncIterable<Written>, problems: readonly UserError[]): AsyncGenerator<Piece, Outcome> {
  for (const error of problems) yield { error };
  yield { bytes: withZeros(bytes) };
  return { exitCode: problems.length > 0 ? 3 : 0 };
}

async function* withZeros(pieces: AsyncIterable<Written>): AsyncGenerator<Buffer, void> {
  const zeros = Buffer.alloc(1 << 20);
  for await (const piece of pieces) {
    if (typeof piece !== "number") yield piece;
    else for (let left = piece; left > 0; left -= zeros.length) yield zeros.subarray(0, Math.min(left, zeros.length));
  }
}

async function* writeProcess(
  memory: MappedMemory,
  { pid, range }: ExtractRequest["what"] & { kind: "memory" },
  to: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Extracted, void> {
  yield* range === undefined
    ? writeMemory(memory, `pid-${pid}`, to, signal)
    : writeRange(memory, range, `pid-${pid}-${range.start.toString(16)}.bin`, to, signal);
}

/** A line a file, and the document ExtractionList. */
async function* report(
  results: AsyncIterable<Extracted | UserError>,
  problems: readonly UserError[] = [],
  skipped?: Skipped,
): AsyncGenerator<Piece, Outcome> {
  const items: Extracted[] = [];
  let failed = problems.length;
  for (const error of problems) yield { error };
  for await (const result of results) {
    if (result instanceof UserError) {
      failed += 1;
      yield { error: result };
    } else {
      items.push(result);
      yield { text: say`${result.from} written to ${result.path} (${formatBytes(result.bytes)})`, name: result.path };
    }
  }
  const document = { apiVersion: API_VERSION, kind: "ExtractionList", items, ...(skipped === undefined ? {} : { skipped }) };
  if (failed > 0 && items.length === 0) return { document, exitCode: 1 };
  return { document, exitCode: failed > 0 || isPartial(skipped) ? 3 : 0 };
}
