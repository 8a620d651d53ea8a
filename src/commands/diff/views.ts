import type { Changes, Compared, Difference, ProcessDifference } from "../../model/difference.ts";
import type { ChangeItem, FileItem, MountItem, SocketItem } from "../../model/inspection.ts";
import { say, styled, type Phrase, type Table } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";
import { changeWords } from "../inspect/changes.ts";
import { accessOf, fileDetails, fileName, socketDetails } from "../inspect/descriptors.ts";

type View = Phrase | Table;

/** What people see of a difference: as diff prints it, "-" is of the first archive and "+" of the second. */
export function* differenceViews(difference: Difference): Generator<View> {
  const { same, from, to, sameContainer, processes, mounts, rootfs } = difference;
  if (same) return;
  yield styled("strong", say`--- ${side(from)}`);
  yield styled("strong", say`+++ ${side(to)}`);
  if (!sameContainer) yield say`different containers: processes are matched by their place in the process tree and their command`;
  if (processes.removed.length + processes.added.length > 0) yield say`\n${styled("strong", "Processes")}`;
  for (const { pid, args, comm } of processes.removed) yield minus(say`${pid} ${args?.join(" ") ?? `[${comm}]`}`);
  for (const { pid, args, comm } of processes.added) yield plus(say`${pid} ${args?.join(" ") ?? `[${comm}]`}`);
  for (const process of processes.changed) yield* processViews(process);
  yield* section("Mounts", mounts, mountText);
  yield* section("Root file system", rootfs, rootfsText);
}

function side({ path, container, pod, namespace, checkpointedAt }: Compared): Phrase {
  const where = pod === undefined ? say`` : say` in pod ${namespace ?? ""}/${pod}`;
  return say`${path}: ${container ?? "unnamed container"}${where}${checkpointedAt === undefined ? "" : say`, ${checkpointedAt.replace(/\.\d+Z$/, "Z")}`}`;
}

function* processViews({ pid, otherPid, comm, args, fields, environment, files, sockets, memory }: ProcessDifference): Generator<View> {
  const pids = otherPid === undefined ? say`${pid}` : say`${pid}, now ${otherPid}`;
  yield say`\n${styled("strong", say`Process ${pids}: ${args?.join(" ") ?? `[${comm}]`}`)}`;
  for (const field of fields) yield* fieldViews(field);
  yield* lines(environment, ({ name, value }) => (value === undefined ? say`${name}` : say`${name}=${value}`));
  yield* lines(files, fileText);
  yield* lines(sockets, socketText);
  if (memory === undefined || memory.changedBytes === 0) return;
  yield say`memory: ${formatBytes(memory.changedBytes)} of ${formatBytes(memory.comparedBytes)} changed, ${memory.percent}%`;
  yield {
    columns: ["ADDRESS", "KIND", "CHANGED", "OF", "PERCENT", "NAME"],
    rows: memory.regions.map(({ start, kind, name, only, comparedBytes, changedBytes, percent }) => [
      only === "to" ? `+${start}` : only === "from" ? `-${start}` : start,
      kind,
      formatBytes(changedBytes),
      formatBytes(comparedBytes),
      `${percent}%`,
      name,
    ]),
  };
}

function* section<T>(title: string, changes: Changes<T>, text: (thing: T) => Phrase): Generator<Phrase> {
  const all = [...lines(changes, text)];
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
  return styled("bad", say`- ${text}`);
}

function plus(text: Phrase): Phrase {
  return styled("good", say`+ ${text}`);
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
