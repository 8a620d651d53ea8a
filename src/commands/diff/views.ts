import type { Changes, Compared, Difference, ProcessDifference, ProcessReference } from "../../model/difference.ts";
import type { ChangeItem, FileItem, MountItem, SocketItem } from "../../model/inspection.ts";
import { oneLine, say, styled, whole, type Phrase, type Table } from "../../model/phrase.ts";
import { counted, formatBytes } from "../../model/units.ts";
import { changeWords } from "../inspect/changes.ts";
import { accessOf, fileDetails, fileName, socketDetails } from "../inspect/descriptors.ts";

type View = Phrase | Table;

/**
 * What people see of a difference: as diff prints it, "-" is of the first archive and "+" of the second; changed files, processes and
 * sockets first, memory last. Without `addresses`, what is rarely looked for is counted.
 */
export function* differenceViews(difference: Difference, addresses: boolean): Generator<View> {
  const { same, from, to, sameContainer, processes, mounts, rootfs } = difference;
  if (same) return;
  yield oneLine(styled("strong", say`--- ${side(from)}`));
  yield oneLine(styled("strong", say`+++ ${side(to)}`));
  if (!sameContainer) yield say`different containers: processes are matched by their place in the process tree and their command`;
  yield* section("Changed files", [...lines(rootfs, rootfsText)]);
  yield* section("Processes", [...processLines(processes)]);
  const ofEach = function* (title: string, of: (process: ProcessDifference) => Iterable<View>): Generator<View> {
    const all = processes.changed.map((process) => ({ process, views: [...of(process)] })).filter(({ views }) => views.length > 0);
    if (all.length > 0) yield say`\n${styled("strong", title)}`;
    for (const { process, views } of all) {
      yield processTitle(process);
      yield* views;
    }
  };
  yield* ofEach("Sockets", ({ sockets }) => lines(sockets, socketText));
  yield* ofEach("Open files", ({ files }) => lines(files, fileText));
  yield* ofEach("Environment", ({ environment }) =>
    lines(environment, ({ name, value }) => (value === undefined ? say`${name}` : say`${name}=${value}`)),
  );
  yield* section("Mounts", [...mountLines(mounts, addresses)]);
  yield* ofEach("Memory", (process) => memoryViews(process, addresses));
}

function side({ path, container, pod, namespace, checkpointedAt }: Compared): Phrase {
  const where = pod === undefined ? say`` : say` in pod ${namespace ?? ""}/${pod}`;
  return say`${path}: ${container ?? "unnamed container"}${where}${checkpointedAt === undefined ? "" : say`, ${checkpointedAt.replace(/\.\d+Z$/, "Z")}`}`;
}

/** Those that only one has, then what differs of those that both have. */
function* processLines({ removed, added, changed }: Difference["processes"]): Generator<Phrase> {
  for (const process of removed) yield oneLine(minus(processText(process)));
  for (const process of added) yield oneLine(plus(processText(process)));
  for (const process of changed.filter(({ fields }) => fields.length > 0)) {
    yield processTitle(process);
    for (const field of process.fields) yield* fieldViews(field);
  }
}

function processText({ pid, args, comm }: ProcessReference): Phrase {
  return say`${pid} ${args?.join(" ") ?? `[${comm}]`}`;
}

function processTitle(process: ProcessDifference): Phrase {
  const { pid, otherPid, args, comm } = process;
  const pids = otherPid === undefined ? say`${pid}` : say`${pid}, now ${otherPid}`;
  return oneLine(say`process ${pids}: ${args?.join(" ") ?? `[${comm}]`}`);
}

/** Types of file systems whose place is where a container's cgroup is. */
const CGROUP = /^cgroup2?$/;

function* mountLines(mounts: Changes<MountItem>, addresses: boolean): Generator<Phrase> {
  const isPath = ({ from, to }: { from: MountItem; to: MountItem }): boolean => CGROUP.test(from.type) && CGROUP.test(to.type);
  const folded = addresses ? [] : mounts.changed.filter(isPath);
  yield* lines({ ...mounts, changed: mounts.changed.filter((one) => !folded.includes(one)) }, mountText);
  if (folded.length > 0)
    yield say`${counted(folded.length, "cgroup path")} ${folded.length === 1 ? "differs" : "differ"} (--addresses shows them)`;
}

function* memoryViews({ memory }: ProcessDifference, addresses: boolean): Generator<View> {
  if (memory === undefined || memory.changedBytes === 0) return;
  yield say`${formatBytes(memory.changedBytes)} of ${formatBytes(memory.comparedBytes)} changed, ${memory.percent}%`;
  const shown = addresses ? memory.regions : memory.regions.filter(({ only }) => only === undefined);
  const folded = memory.regions.filter((region) => !shown.includes(region));
  if (shown.length > 0)
    yield {
      columns: ["ADDRESS", "KIND", "CHANGED", "OF", "PERCENT", "NAME"],
      rows: shown.map(({ start, kind, name, only, comparedBytes, changedBytes, percent }) => [
        only === "to" ? `+${start}` : only === "from" ? `-${start}` : start,
        kind,
        formatBytes(changedBytes),
        formatBytes(comparedBytes),
        `${percent}%`,
        name,
      ]),
      narrow: { shorten: [{ NAME: "middle" }] },
    };
  const bytes = folded.reduce((sum, { changedBytes }) => sum + changedBytes, 0);
  if (folded.length > 0)
    yield say`${counted(folded.length, "region")} of ${formatBytes(bytes)} in one archive only, or moved (--addresses shows ${folded.length === 1 ? "it" : "them"})`;
}

function* section(title: string, all: readonly Phrase[]): Generator<Phrase> {
  if (all.length === 0) return;
  yield say`\n${styled("strong", title)}`;
  yield* all;
}

function* lines<T>({ removed, added, changed }: Changes<T>, text: (thing: T) => Phrase): Generator<Phrase> {
  for (const thing of removed) yield minus(text(thing));
  for (const { from, to } of changed) {
    yield minus(text(from));
    yield plus(text(to));
  }
  for (const thing of added) yield plus(text(thing));
}

function minus(text: Phrase): Phrase {
  return whole(styled("bad", say`- ${text}`));
}

function plus(text: Phrase): Phrase {
  return whole(styled("good", say`+ ${text}`));
}

function* fieldViews({ name, from, to }: ProcessDifference["fields"][number]): Generator<Phrase> {
  // Of sets of names only what one has and the other has not; the order of arguments counts.
  if (name !== "args" && isNames(from) && isNames(to)) {
    const [gone, come] = [from.filter((item) => !to.includes(item)), to.filter((item) => !from.includes(item))];
    if (gone.length > 0) yield minus(say`${name} ${gone.join(" ")}`);
    if (come.length > 0) yield plus(say`${name} ${come.join(" ")}`);
    if (gone.length + come.length > 0) return;
  }
  yield minus(say`${name} ${valueText(from)}`);
  yield plus(say`${name} ${valueText(to)}`);
}

function isNames(value: unknown): value is readonly (string | number)[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string" || typeof item === "number");
}

function valueText(value: unknown): string {
  if (isNames(value)) return value.join(" ");
  return typeof value === "string" ? value : value === undefined ? "unknown" : JSON.stringify(value);
}

function fileText(file: FileItem): Phrase {
  return words(["fd", file.fd, accessOf(file), file.type, fileName(file), fileDetails(file)]);
}

function socketText(socket: SocketItem): Phrase {
  const { fd, protocol, state, local, remote, receiveQueue, sendQueue } = socket;
  const queues = (receiveQueue ?? 0) + (sendQueue ?? 0) === 0 ? "" : `${receiveQueue ?? "?"} bytes unread, ${sendQueue ?? "?"} unsent`;
  return words(["fd", fd, protocol, state ?? "", local, remote === "" ? "" : `to ${remote}`, queues, socketDetails(socket)]);
}

function mountText({ path, type, source, root, options }: MountItem): Phrase {
  return words([path, type, root === "/" ? source : `${source}[${root}]`, options.join(",")]);
}

function rootfsText(item: ChangeItem): Phrase {
  return words(changeWords(item));
}

function words(all: readonly (string | number)[]): Phrase {
  return say`${all.filter((word) => word !== "").join(" ")}`;
}
