import { COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

const section = (name: string, help: string) => ({ name, takes: "nothing", help }) as const;

export const inspectVerb: Verb = {
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
  flags: [
    section("ps", "details of each process: threads, users, capabilities, signals, limits"),
    section("env", "the environment of each process"),
    section("files", "open files of every kind, and deleted ones that are still open"),
    section("sockets", "sockets: addresses, states, bytes queued, who has the other end"),
    section("mounts", "mounts of the container"),
    section("memory", "memory by kind of region, and the memory map"),
    section("stats", "what CRIU counted and how long it took"),
    section("all", "all of these sections"),
    { name: "pid", takes: "value", value: "PID", help: "only this process, by its number in the container" },
    outputFlag("json", "yaml"),
  ],
  sharedFlags: [COMMON_FLAGS],
  load: async () => await import("../../commands/inspect.ts"),
};
