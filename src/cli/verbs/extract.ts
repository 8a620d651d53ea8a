import { COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const extractVerb: Verb = {
  name: "extract",
  summary: "Take a file or a process's memory out of an archive",
  usage: ["extract FILE PATH [--to DEST]", "extract FILE --pid PID [--range START-END] [--to DEST]"],
  description: `Take something out of an archive on this machine: a file that the container had changed, a file that it had deleted and
still held open, any member of the archive, or the memory of a process.

A PATH that begins with a slash is one in the container, anything else is a member of the archive, as tar lists them. A
directory is written with the files below it; links, special files and mount points are left out. Files of the image that
the container had not changed, volumes, and what the engine mounts, such as /etc/hosts, are not in an archive (Podman's
named volumes are).

--pid writes all of a process's memory that is in the archive into a new directory, a file for each piece without a gap,
named by its first address. With --range it is that range, in one file; what the process never touched reads as zeros,
and where a byte is not in the archive there is no file, but an error that says why.

Nothing is written outside of DEST, no link is followed, nothing is replaced. What is written may be as secret as the
archive: only you can read it.`,
  examples: [
    {
      what: "A file that the container wrote, into this directory",
      command: "kubectl checkpoint extract nginx.tar /var/log/nginx/error.log",
    },
    { what: "All that it changed in its root file system", command: "kubectl checkpoint extract nginx.tar / --to changes" },
    { what: "CRIU's log of the dump, to read it here", command: "kubectl checkpoint extract nginx.tar dump.log --to - | less" },
    { what: "All memory of process 1", command: "kubectl checkpoint extract nginx.tar --pid 1 --to nginx-memory" },
    {
      what: "Two pages of it; addresses as inspect --memory and search print them",
      command: "kubectl checkpoint extract nginx.tar --pid 1 --range 0x7ffd3a1c0000-0x7ffd3a1c2000 --to stack.bin",
    },
  ],
  flags: [
    { name: "pid", takes: "value", value: "PID", help: "process, by its number in the container" },
    { name: "range", takes: "value", value: "START-END", help: "addresses in hexadecimal; END is the first one after the range" },
    { name: "to", takes: "value", value: "DEST", help: "file or directory to write to, - for stdout (default: this directory)" },
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [COMMON_FLAGS],
  load: async () => await import("../../commands/extract.ts"),
};
