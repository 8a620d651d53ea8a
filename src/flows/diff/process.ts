import type { Changes, ProcessDifference, VariableItem } from "../../model/difference.ts";
import type { FileItem, ProcessItem, SocketItem } from "../../model/inspection.ts";
import { changesOf, equal } from "./changes.ts";

/** What a process is, by name: what differs of it. */
export function fieldsOf(a: ProcessItem, b: ProcessItem): ProcessDifference["fields"] {
  const [before, after] = [told(a), told(b)];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => !equal(before[name], after[name]))
    .map((name) => ({ name, from: before[name], to: after[name] }));
}

function told({ comm, args, state, executable, cwd, root, umask, threads, limits, signals, timers }: ProcessItem): Record<string, unknown> {
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
    args,
    state,
    executable,
    cwd,
    root,
    umask,
    threads: names,
    ...privileges,
    ...nested,
    ...prefixed("signals", signals),
    timers,
  };
}

/** The fields of an object, each under a name of its own. */
function prefixed(name: string, object: object | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object ?? {}).map(([key, value]) => [`${name}.${key}`, value]));
}

export function variablesOf({ env = {} }: ProcessItem): Map<string, VariableItem> {
  return new Map(Object.entries(env).map(([name, value]) => [name, { name, value }]));
}

/** Open files by descriptor. Numbers of pipes and pids say nothing about two containers, so they do not count there. */
export function filesOf(a: ProcessItem, b: ProcessItem, sameContainer: boolean): Changes<FileItem> {
  const files = ({ files: all = [] }: ProcessItem) => new Map(all.filter(({ type }) => type !== "socket").map((file) => [file.fd, file]));
  return changesOf(files(a), files(b), (before, after) => equal(bare(before, sameContainer), bare(after, sameContainer)));
}

function bare(file: FileItem, sameContainer: boolean): object {
  return { ...file, otherEnds: undefined, name: sameContainer ? file.name : file.name.replaceAll(/\[\d+\]/g, "[]") };
}

/** Sockets by descriptor. */
export function socketsOf(a: ProcessItem, b: ProcessItem): Changes<SocketItem> {
  const sockets = ({ sockets: all = [] }: ProcessItem) => new Map(all.map((socket) => [socket.fd, socket]));
  return changesOf(sockets(a), sockets(b), (before, after) => equal(withoutNumbers(before), withoutNumbers(after)));
}

/** Without what only the kernel's numbering makes different. */
function withoutNumbers(socket: SocketItem): object {
  return { ...socket, inode: undefined, peers: undefined };
}
