import { compareArchives, DIFF_SECTIONS, type DiffSection } from "../flows/examine/diff/diff.ts";
import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { differenceViews } from "./diff/views.ts";
import { Budget } from "../archive/budget.ts";
import { damages, openCheckpoint, orOffered } from "./shared/archives.ts";
import { COMMON, output } from "./shared/common.ts";
import { noted, PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { on } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export interface DiffRequest {
  readonly from: string;
  readonly to: string;
  /** None: all. */
  readonly sections: ReadonlySet<DiffSection>;
  /** Whether people see what they are rarely after: regions of memory that only one has, paths of cgroups. */
  readonly addresses: boolean;
  readonly registry: ReadingSettings;
}

export const verb = defineVerb({
  name: "diff",
  summary: "Compare two archives",
  usage: ["diff FILE FILE [--ps] [--env] [--files] [--sockets] [--mounts] [--memory] [--changes] [--addresses] [options]"],
  description: `Compare two archives on this machine: processes with their environment, files, sockets and memory, mounts, and the changes in the
root file systems. Lines that start with "-" belong to the first archive, lines that start with "+" to the second.

Processes of the same container are matched by their PID; those of different containers, such as replicas, by their place in the process
tree and their command. Memory is compared page by page; a page that only one archive has counts as changed. What only one archive can
answer is reported as not compared, never as a difference.

Without a section, everything is compared. Memory regions that only one archive has (often they only moved) and cgroup paths are counted;
--addresses, -o json and -o yaml list them. Processes that only one archive has are reported with every section of processes.

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
    ps: on("processes: command lines, users, capabilities, signals"),
    env: on("variables of the processes"),
    files: on("open files"),
    sockets: on("sockets"),
    mounts: on("mounts of the container"),
    memory: on("memory, page by page"),
    changes: on("changed files, with owner, time, type and SHA-256 of each"),
    addresses: on("also memory regions that only one archive has, and cgroup paths"),
    output: output("wide", "json", "yaml"),
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
    const sections = new Set(DIFF_SECTIONS.filter((section) => flags[section]));
    return { from, to, sections, addresses: flags.addresses, registry: registrySettings(flags) };
  },
  async *run({ sections, addresses, registry, ...given }, call) {
    const [from = given.from, to = given.to] = await orOffered([given.from, given.to], call);
    const budget = new Budget();
    await noted(call, registry, "diff", [from, to]);
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
      { signal: call.signal, sections },
    );
    const difference = { ...compared, problems: [...damage, ...problems].map(({ message }) => message) };
    for (const text of differenceViews(difference, addresses)) yield { text };
    for (const error of problems) yield { error };
    return { document: difference, exitCode: damage.length + problems.length > 0 ? 2 : difference.same ? 0 : 1 };
  },
});
