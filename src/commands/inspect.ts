import type { Archive } from "../archive/archive.ts";
import { attempt } from "../criu/problems.ts";
import { inspectArchive, type InspectionRequest } from "../flows/examine/inspect/inspection.ts";
import type { Section } from "../flows/examine/inspect/process.ts";
import { usageError, type UserError } from "../model/error.ts";
import type { ChangeItem } from "../model/inspection.ts";
import { say } from "../model/phrase.ts";
import { inspectionPage } from "./inspect/page.ts";
import { damages, fileWord, openCheckpoint, orOffered, PREVIOUS } from "./shared/archives.ts";
import { COMMON, output, PID } from "./shared/common.ts";
import { noted, PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { on, text } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

async function changesOf(archive: Archive, problems: UserError[], signal: AbortSignal): Promise<ChangeItem[]> {
  const { changedFiles } = await import("../flows/examine/changes/changes.ts");
  const changes: ChangeItem[] = [];
  const tell = (problem: UserError): void => void problems.push(problem);
  const all = changedFiles(archive, { signal, tell, hashes: true });
  await attempt(tell, async () => {
    for await (const item of all) {
      archive.budget.keep("changed files", 3, item.path.length);
      changes.push(item);
    }
  });
  return changes;
}

export interface InspectRequest extends InspectionRequest {
  readonly file: string;
  /** The archive of the checkpoint before. */
  readonly previous: string | undefined;
  readonly registry: ReadingSettings;
}

const SECTIONS = [
  "ps",
  "threads",
  "env",
  "files",
  "sockets",
  "mounts",
  "memory",
  "ipc",
  "changes",
  "stats",
] as const satisfies readonly Section[];
/** The process tree shows how much memory each has. */
const ALWAYS: Section = "totals";

export const verb = defineVerb({
  name: "inspect",
  summary: "Show processes, files, sockets and memory in an archive",
  usage: [
    "inspect FILE [--ps] [--threads] [--env] [--files] [--sockets] [--mounts] [--memory] [--ipc] [--changes] [--stats] [--all] [--pid PID] [options]",
  ],
  description: `Show what an archive on this machine contains: the process tree with command lines and, by section, what each process had: files,
sockets, memory. Neither a cluster nor CRIU is needed.

Without a section, the process tree is printed; -o json and -o yaml then have every section except --threads and the environment, which
often contains secrets and is printed only with --env or --all. MEMORY counts pages in the archive; unmodified pages of files and memory that was never
used are not in it.

FILE is an archive of containerd, CRI-O or Podman, plain or compressed with gzip or zstd, or "-" for standard input; the latter are
expanded to a temporary file that only you can read. For a pod in the place of FILE, its archive is offered at a terminal. Exit status: 0, 1 if the archive cannot be read, 3 if parts of it cannot be read.`,
  examples: [
    { what: "Which processes were running?", command: "kubectl checkpoint inspect nginx.tar" },
    { what: "Which connections were open?", command: "kubectl checkpoint inspect nginx.tar --sockets" },
    {
      what: "Which files did process 7 have open, deleted ones included?",
      command: "kubectl checkpoint inspect nginx.tar --files --pid 7",
    },
    { what: "What did it change in its file system?", command: "kubectl checkpoint inspect nginx.tar --changes" },
    { what: "What does every thread wait for?", command: "kubectl checkpoint inspect nginx.tar --threads" },
    { what: "Every section", command: "kubectl checkpoint inspect nginx.tar --all | less" },
    {
      what: "Which ports were open?",
      command: `kubectl checkpoint inspect nginx.tar --sockets -o json | jq -r '.. | objects | select(.state? == "LISTEN").local'`,
    },
  ],
  flags: {
    ps: on("each process: threads, users, capabilities, signals, namespaces, seccomp"),
    threads: on("what each thread was doing: system call, what it waits for, registers; deadlocks"),
    env: on("variables of each process, in their order"),
    files: on("open files, locks, deleted files and memfds, and who uses them"),
    sockets: on("sockets: addresses, states, queued bytes, owner of the other end"),
    mounts: on("mounts of the container"),
    memory: on("memory by kind of region, and the memory map"),
    ipc: on("System V IPC: shared memory, semaphores, message queues"),
    changes: on("files that differ from the image: kind, mode, owner, size, time, SHA-256, type"),
    stats: on("counts and times that CRIU recorded"),
    all: on("all sections"),
    root: text({ value: "DIR", help: "with --threads: symbols from a root file system that extract --base-image wrote" }),
    pid: PID,
    previous: PREVIOUS,
    output: output("wide", "json", "yaml"),
    ...PULL,
    ...COMMON,
  },
  request(words, flags): InspectRequest {
    const file = fileWord("inspect", words);
    if (words.length > 1) throw usageError(say`unexpected argument "${words[1] ?? ""}": inspect takes one archive`);
    const chosen = SECTIONS.filter((section) => flags[section]);
    // Documents have nearly everything where nothing is chosen, the text for people only the process tree.
    const unchosen =
      flags.output === undefined || flags.output === "wide" ? [] : SECTIONS.filter((section) => section !== "env" && section !== "threads");
    const sections = flags.all ? SECTIONS : chosen.length > 0 ? chosen : unchosen;
    if (flags.root !== undefined && !flags.threads && !flags.all) throw usageError("--root requires --threads");
    const { pid, previous, root } = flags;
    return {
      file,
      sections: new Set([ALWAYS, ...sections]),
      pid,
      previous,
      registry: registrySettings(flags),
      ...(root === undefined ? {} : { root }),
    };
  },
  async *run({ file: given, previous, registry, ...request }, call) {
    const [file = given] = await orOffered([given], call);
    await noted(call, registry, "inspect", previous === undefined ? [file] : [file, previous]);
    await using archive = await openCheckpoint(file, previous, pulling(call, registry));
    const damage = damages(file, archive);
    for (const error of damage) yield { error };
    const { inspection: inspected, problems } = await inspectArchive(archive, request);
    const inspection =
      request.sections.has("changes") && request.pid === undefined
        ? { ...inspected, changes: await changesOf(archive, problems, call.signal) }
        : inspected;
    for (const text of inspectionPage(inspection, request)) yield { text };
    for (const error of problems) yield { error };
    const all = [...damage, ...problems];
    return { document: { ...inspection, problems: all.map(({ message }) => message) }, exitCode: all.length === 0 ? 0 : 3 };
  },
});
