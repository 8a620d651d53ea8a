import { openArchive } from "../archive/open.ts";
import { inspectArchive, type InspectionRequest } from "../flows/examine/inspect/inspection.ts";
import type { Section } from "../flows/examine/inspect/process.ts";
import { usageError } from "../model/error.ts";
import { inspectionPage } from "./inspect/page.ts";
import { damages, fileWord } from "./shared/archives.ts";
import { COMMON, output, PID } from "./shared/common.ts";
import { on } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export interface InspectRequest extends InspectionRequest {
  readonly file: string;
}

const SECTIONS = ["ps", "env", "files", "sockets", "mounts", "memory", "stats"] as const satisfies readonly Section[];
/** The process tree shows how much memory each has. */
const ALWAYS: Section = "totals";

export const verb = defineVerb({
  name: "inspect",
  summary: "Look into an archive: processes, files, sockets, memory",
  usage: ["inspect FILE [--ps] [--env] [--files] [--sockets] [--mounts] [--memory] [--stats] [--all] [--pid PID] [options]"],
  description: `Look into an archive on this machine: the process tree with command lines, and what the processes had: files, sockets,
memory. Neither a cluster nor CRIU is needed.

Without a section, people get the process tree; -o json and -o yaml then have everything but the environment, which
holds secrets: it is printed with --env or --all only. MEMORY counts what is in the archive: pages of files that the
process had not changed are not, nor is memory that it never touched.

FILE is an archive of containerd, CRI-O or Podman: plain, gzip or zstd; the compressed ones and "-", standard input,
are expanded into a temporary file that only you can read. Exit status: 0, 1 where it cannot be read, 3 where parts of
it cannot.`,
  examples: [
    { what: "What was running?", command: "kubectl checkpoint inspect nginx.tar" },
    { what: "Whom was it talking to?", command: "kubectl checkpoint inspect nginx.tar --sockets" },
    { what: "What did process 7 have open, deleted files too?", command: "kubectl checkpoint inspect nginx.tar --files --pid 7" },
    { what: "Everything there is to know", command: "kubectl checkpoint inspect nginx.tar --all | less" },
    {
      what: "Which ports were listened on?",
      command: `kubectl checkpoint inspect nginx.tar --sockets -o json | jq -r '.. | objects | select(.state? == "LISTEN").local'`,
    },
  ],
  flags: {
    ps: on("details of each process: threads, users, capabilities, signals, limits"),
    env: on("the environment of each process"),
    files: on("open files of every kind, and deleted ones that are still open"),
    sockets: on("sockets: addresses, states, bytes queued, who has the other end"),
    mounts: on("mounts of the container"),
    memory: on("memory by kind of region, and the memory map"),
    stats: on("what CRIU counted and how long it took"),
    all: on("all of these sections"),
    pid: PID,
    output: output("json", "yaml"),
    ...COMMON,
  },
  request(words, flags): InspectRequest {
    const file = fileWord("inspect", words);
    if (words.length > 1) throw usageError(`one archive at a time, not ${words.length}`, "kubectl checkpoint show takes several");
    const chosen = SECTIONS.filter((section) => flags[section]);
    // Documents have everything but the environment where nothing is chosen, the text for people only the process tree.
    const unchosen = flags.output === undefined ? [] : SECTIONS.filter((section) => section !== "env");
    const sections = flags.all ? SECTIONS : chosen.length > 0 ? chosen : unchosen;
    return { file, sections: new Set([ALWAYS, ...sections]), pid: flags.pid };
  },
  async *run({ file, ...request }, call) {
    await using archive = await openArchive(file, call);
    const damage = damages(file, archive);
    for (const error of damage) yield { error };
    const { inspection, problems } = await inspectArchive(archive, request);
    for (const text of inspectionPage(inspection, request)) yield { text };
    for (const error of problems) yield { error };
    const all = [...damage, ...problems];
    return { document: { ...inspection, problems: all.map(({ message }) => message) }, exitCode: all.length === 0 ? 0 : 3 };
  },
});
