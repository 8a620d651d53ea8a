import type { Changes, ProcessDifference } from "../../../model/difference.ts";
import type { FileItem, ProcessItem, SocketItem, VariableItem } from "../../../model/inspection.ts";
import { changesOf, equal, NO_CHANGES } from "./changes.ts";
import type { Untold } from "./untold.ts";

/** A process in two archives, and who takes what either does not tell of it. */
export interface ProcessPair {
  readonly from: ProcessItem;
  readonly to: ProcessItem;
  readonly untold: { readonly from: Untold; readonly to: Untold };
}

/** What a process is, by name: what differs of it. What one of them does not tell is not compared. */
export function fieldsOf(pair: ProcessPair): ProcessDifference["fields"] {
  const [before, after] = [told(pair.from), told(pair.to)];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) => {
    const [from, to] = [before[name], after[name]];
    if (from === undefined && to === undefined) return [];
    const [what = name] = name.split(".");
    return isTold(pair, from, to, what) && !equal(from, to) ? [{ name, from, to }] : [];
  });
}

/** Whether both tell it. A zombie has no memory and no files: that it has become one is difference enough. */
function isTold<T>({ from, to, untold }: ProcessPair, before: T | undefined, after: T | undefined, what: string): boolean {
  const alive = from.state !== "zombie" && to.state !== "zombie";
  if (alive && before === undefined) untold.from(from, what);
  if (alive && after === undefined) untold.to(to, what);
  return before !== undefined && after !== undefined;
}

function told({ comm, args, state, executable, cwd, root, umask, threads, limits, signals, timers }: ProcessItem): Record<string, unknown> {
  const ofFiles = { args, executable, cwd, root, umask };
  // All else is of its core image, which was not read.
  if (state === "unknown" && comm === "") return ofFiles;
  const { uid, gid, groups, capabilities, noNewPrivileges, profile } = threads[0]?.credentials ?? {};
  const names = threads.map((thread) => thread.comm).sort();
  const nested = {
    ...prefixed("uid", uid),
    ...prefixed("gid", gid),
    ...prefixed("capabilities", capabilities),
    ...prefixed("limits", limits),
  };
  const privileges = { groups, noNewPrivileges, profile, seccomp: threads[0]?.seccomp };
  return {
    comm,
    state: state === "unknown" ? undefined : state,
    ...ofFiles,
    threads: names,
    ...privileges,
    ...nested,
    ...prefixed("signals", signals),
    timers: timers.map(({ kind, id, signal, everySeconds }) => ({ kind, id, signal, everySeconds })),
  };
}

/** The fields of an object, each under a name of its own. */
function prefixed(name: string, object: object | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object ?? {}).map(([key, value]) => [`${name}.${key}`, value]));
}

/** The environment, by name. */
export function environmentOf(pair: ProcessPair): Changes<VariableItem> {
  const { env: before } = pair.from;
  const { env: after } = pair.to;
  if (!isTold(pair, before, after, "environment")) return NO_CHANGES;
  return changesOf(variables(before), variables(after), equal);
}

/** What is there twice is told apart by its turn. */
function variables(env: ProcessItem["env"] = []): Map<string, VariableItem> {
  const turns = new Map<string, number>();
  return new Map(
    env.map((variable) => {
      const turn = (turns.get(variable.name) ?? 0) + 1;
      turns.set(variable.name, turn);
      return [`${turn} ${variable.name}`, variable];
    }),
  );
}

/** Open files by descriptor. Numbers of pipes and pids say nothing about two containers, so they do not count there. */
export function filesOf(pair: ProcessPair, sameContainer: boolean): Changes<FileItem> {
  const { files: before } = pair.from;
  const { files: after } = pair.to;
  if (!isTold(pair, before, after, "open files")) return NO_CHANGES;
  const unknown = unknownDescriptors(pair);
  const files = (all: ProcessItem["files"]) => byDescriptor(all?.filter(({ fd, type }) => type !== "socket" && !unknown.has(fd)));
  return changesOf(files(before), files(after), (a, b) => equal(bare(a, sameContainer), bare(b, sameContainer)));
}

function byDescriptor<T extends { readonly fd: number }>(all: readonly T[] = []): Map<number, T> {
  return new Map(all.map((one) => [one.fd, one]));
}

/** Descriptors of which one of them does not tell what they are: not in its files.img, of a new kind, a memfd that is not in memfd.img. */
function unknownDescriptors({ from, to, untold }: ProcessPair): Set<number> {
  const all = new Set<number>();
  for (const [process, note] of [
    [from, untold.from],
    [to, untold.to],
  ] as const) {
    for (const { fd, type, size } of process.files ?? []) {
      if (type !== "unknown" && (type !== "memfd" || size !== undefined)) continue;
      all.add(fd);
      note(process, "some open files");
    }
  }
  return all;
}

function bare(file: FileItem, sameContainer: boolean): object {
  return { ...file, otherEnds: undefined, name: sameContainer ? file.name : file.name.replaceAll(/\[\d+\]/g, "[]") };
}

/** Sockets by descriptor. */
export function socketsOf(pair: ProcessPair): Changes<SocketItem> {
  const { sockets: before } = pair.from;
  const { sockets: after } = pair.to;
  if (!isTold(pair, before, after, "sockets")) return NO_CHANGES;
  const unknown = unknownDescriptors(pair);
  const sockets = (all: ProcessItem["sockets"]) => byDescriptor(all?.filter(({ fd }) => !unknown.has(fd)));
  return changesOf(sockets(before), sockets(after), (a, b) => equal(withoutNumbers(a), withoutNumbers(b)));
}

/** Without what only the kernel's numbering makes different. */
function withoutNumbers(socket: SocketItem): object {
  return { ...socket, inode: undefined, peers: undefined };
}
