import { compareArchives } from "../flows/examine/diff/diff.ts";
import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { differenceViews } from "./diff/views.ts";
import { Budget } from "../archive/budget.ts";
import { damages, openCheckpoint } from "./shared/archives.ts";
import { COMMON, output } from "./shared/common.ts";
import { PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { on } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export interface DiffRequest {
  readonly from: string;
  readonly to: string;
  /** Only changed files are compared, with their hashes. */
  readonly changes: boolean;
  readonly registry: ReadingSettings;
}

export const verb = defineVerb({
  name: "diff",
  summary: "Compare two archives",
  usage: ["diff FILE FILE [--changes] [options]"],
  description: `Compare two archives on this machine: processes with their environment, files, sockets and memory, mounts, and the changes in the
root file systems. Lines that start with "-" belong to the first archive, lines that start with "+" to the second.

Processes of the same container are matched by their PID; those of different containers, such as replicas, by their place in the process
tree and their command. Memory is compared page by page; a page that only one archive has counts as changed. What only one archive can
answer is reported as not compared, never as a difference.

Exit status, as with diff: 0 no differences, 1 differences, 2 if the comparison failed or part of an archive could not be compared.`,
  examples: [
    { what: "What changed since the last checkpoint?", command: "kubectl checkpoint diff before.tar after.tar" },
    {
      what: "Which memory changed?",
      command: "kubectl checkpoint diff before.tar after.tar -o json | jq '.processes.changed[] | {pid, memory}'",
    },
    {
      what: "Which files differ between two replicas?",
      command: "kubectl checkpoint diff web-1.tar web-2.tar --changes",
    },
  ],
  flags: {
    changes: on("compare only changed files, and print owner, time, type and SHA-256 of each"),
    output: output("json", "yaml"),
    ...PULL,
    ...COMMON,
  },
  failureStatus: 2,
  request(words, flags): DiffRequest {
    const [from, to, more] = words;
    if (from === undefined || to === undefined || from === "" || to === "") {
      throw usageError("two archives are required", "kubectl checkpoint diff FILE FILE");
    }
    if (more !== undefined) throw usageError(say`unexpected argument "${more}": diff takes two archives`);
    if (from === "-" && to === "-") throw usageError("only one of the two archives can be standard input");
    return { from, to, changes: flags.changes, registry: registrySettings(flags) };
  },
  async *run({ from, to, changes, registry }, call) {
    const budget = new Budget();
    const reading = pulling(call, registry);
    await using before = await openCheckpoint(from, undefined, reading, budget);
    // The second may build on the first.
    await using opened = await openCheckpoint(to, undefined, reading, budget);
    const after = { ...opened, previous: before };
    const damage = [...damages(from, before), ...damages(to, after)];
    for (const error of damage) yield { error };
    const { difference: compared, problems } = await compareArchives(
      { path: from, archive: before },
      { path: to, archive: after },
      { signal: call.signal, onlyChanges: changes },
    );
    const difference = { ...compared, problems: [...damage, ...problems].map(({ message }) => message) };
    for (const text of differenceViews(difference)) yield { text };
    for (const error of problems) yield { error };
    return { document: difference, exitCode: damage.length + problems.length > 0 ? 2 : difference.same ? 0 : 1 };
  },
});
