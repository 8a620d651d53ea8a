import { openArchive } from "../archive/open.ts";
import { compareArchives } from "../flows/examine/diff/diff.ts";
import { usageError } from "../model/error.ts";
import { differenceViews } from "./diff/views.ts";
import { damages } from "./shared/archives.ts";
import { COMMON, output } from "./shared/common.ts";
import { defineVerb } from "./shared/verb.ts";

export interface DiffRequest {
  readonly from: string;
  readonly to: string;
}

export const verb = defineVerb({
  name: "diff",
  summary: "Compare two archives",
  usage: ["diff FILE FILE [options]"],
  description: `Compare two archives on this machine: processes, their environment, files, sockets and memory, mounts, and what the
containers changed in their root file systems. Lines with "-" are of the first archive, those with "+" of the second.

Processes of one container are told by their pid; those of two, replicas say, are matched by their place in the tree and
their command, and numbers that the kernel gives do not count. Memory is compared page by page: a page that only one of
the archives has counts as changed. Of one container pages are compared at the same address, whichever region they are
in by now; between two containers, within regions of the same name.

FILE is an archive of containerd, CRI-O or Podman: plain, gzip or zstd; the compressed ones and "-", standard input,
which may stand for one of the two, are expanded into a temporary file that only you can read. Exit status as diff's:
0 the same, 1 different, 2 trouble, also where only a part could be compared: what one archive does not tell is no
difference.`,
  examples: [
    { what: "What has changed since the last checkpoint?", command: "kubectl checkpoint diff before.tar after.tar" },
    {
      what: "Which memory grew?",
      command: "kubectl checkpoint diff before.tar after.tar -o json | jq '.processes.changed[] | {pid, memory}'",
    },
    {
      what: "Does one replica differ from another in what it wrote?",
      command: "kubectl checkpoint diff web-1.tar web-2.tar -o json | jq .rootfs",
    },
  ],
  flags: { output: output("json", "yaml"), ...COMMON },
  failureStatus: 2,
  request(words): DiffRequest {
    const [from, to, ...more] = words;
    if (from === undefined || to === undefined || from === "" || to === "") {
      throw usageError("which archives? Two of them", "kubectl checkpoint diff FILE FILE");
    }
    if (more.length > 0) throw usageError(`two archives, not ${words.length}`);
    if (from === "-" && to === "-") throw usageError("only one of the archives can be standard input");
    return { from, to };
  },
  async *run({ from, to }, call) {
    await using before = await openArchive(from, call);
    await using after = await openArchive(to, call);
    const damage = [...damages(from, before), ...damages(to, after)];
    for (const error of damage) yield { error };
    const { difference: compared, problems } = await compareArchives(
      { path: from, archive: before },
      { path: to, archive: after },
      call.signal,
    );
    const difference = { ...compared, problems: [...damage, ...problems].map(({ message }) => message) };
    for (const text of differenceViews(difference)) yield { text };
    for (const error of problems) yield { error };
    return { document: difference, exitCode: damage.length + problems.length > 0 ? 2 : difference.same ? 0 : 1 };
  },
});
