import { COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const searchVerb: Verb = {
  name: "search",
  summary: "Search the memory in an archive",
  usage: ["search FILE PATTERN [--regex | --hex] [--pid PID] [--around BYTES] [--max N] [options]"],
  description: `Search the memory of all processes in an archive on this machine. PATTERN is found as it stands, in bytes of UTF-8;
matches may lie across pages. Each is printed with its process, address and region, and with what is around it: bytes
that are no text as \\xNN.

What was never written to is not in an archive: neither are pages of programs and libraries that a process had not
changed. Shared memory is searched once for each process that has it.

--regex takes a regular expression of JavaScript over bytes: \\x00 to \\xff, ^ and $ at lines, (?i:…) without regard to
case. Its matches are found up to 4096 bytes long, and (?<=…) sees 4096 bytes before one. --hex takes bytes in
hexadecimal.

Matches are printed as they are found. A document, -o json or yaml, holds up to 32 MiB of them and what is around them;
where there are more, it says "complete": false and the exit status is 2.

FILE is an archive of containerd, CRI-O or Podman: plain, gzip or zstd; the compressed ones and "-", standard input,
are expanded into a temporary file that only you can read. Exit status as grep's: 0 found, 1 not found, 2 trouble,
also where only a part of the memory could be searched.`,
  examples: [
    { what: "Is this password still in memory?", command: "kubectl checkpoint search nginx.tar s3cr3t-value" },
    {
      what: "Keys of AWS, with 100 bytes of what is around them",
      command: "kubectl checkpoint search nginx.tar --regex '(AKIA|ASIA)[0-9A-Z]{16}' --around 100",
    },
    { what: "A value of a program's own, in process 7", command: "kubectl checkpoint search nginx.tar --hex 'de ad be ef' --pid 7" },
    {
      what: "In a script: which processes know the token?",
      command: "kubectl checkpoint search nginx.tar \"$TOKEN\" -o json | jq '[.items[].pid] | unique'",
    },
  ],
  flags: [
    { name: "regex", takes: "nothing", help: "PATTERN is a regular expression" },
    { name: "hex", takes: "nothing", help: "PATTERN is bytes in hexadecimal" },
    { name: "pid", takes: "value", value: "PID", help: "only this process, by its number in the container" },
    { name: "around", takes: "value", value: "BYTES", help: "how much to print before and after a match (default: 32)" },
    { name: "max", takes: "value", value: "N", help: "stop after so many matches, 0 for never (default: 1000)" },
    outputFlag("json", "yaml"),
  ],
  sharedFlags: [COMMON_FLAGS],
  load: async () => await import("../../commands/search.ts"),
};
