import type { OpenFile } from "../../../criu/files/file.ts";
import { MOST_DESCRIPTORS, type Call } from "../../../threads/calls.ts";
import type { Connections } from "./connections.ts";

/** What a thread waits for at the other ends of pipes and connections. */
export interface EndWait {
  /** "data in pipe:[7], which only process 3 can write to". */
  readonly text: string;
  /** Who can end it: each that has an other end. */
  readonly pids: readonly number[];
  /** Of an epoll: other processes that have it, too. */
  readonly sharers?: readonly number[];
}

const READS = new Set(["read", "readv", "pread64", "recvfrom", "recvmsg"]);
const WRITES = new Set(["write", "writev", "sendto", "sendmsg"]);
/** Holders that connections() lists of one end at most: with more, not all are known. */
const ALL_KNOWN = 16;
/** Of the pipes and connections that a call waits for so many are named. */
const MOST_ENDS = 4;

/** Undefined unless all that it waits for are pipes and connections whose other ends belong to other processes of the container. */
export function endWait(call: Call, pid: number, connections: Connections): EndWait | undefined {
  const asked = askedOf(call, pid, connections);
  if (asked === undefined || asked.ends.length === 0) return undefined;
  const found = asked.ends.map((one) => otherEnd(one, pid, connections));
  const ends = found.filter((one) => one !== undefined);
  // Of one that is not known anything may come.
  if (ends.length < found.length) return undefined;
  const pids = [...new Set(ends.flatMap((one) => one.pids))];
  const texts = [...new Set(ends.map(({ text }) => text))];
  const text =
    texts.length <= MOST_ENDS
      ? texts.join(", or ")
      : `one of ${texts.length} pipes and connections, whose other ends only ${processesText(pids)} have`;
  return { text, pids, ...(asked.sharers === undefined ? {} : { sharers: asked.sharers }) };
}

/** Whether it waits until somebody ends that. */
export function isEndless({ state, isLimited, name, futex }: Call): boolean {
  return !isLimited && (state === "waiting" || (state === "last" && name === "futex" && futex !== undefined));
}

/** The same of calls that only look whether something can be done: the checkpoint ended them, which waited until then. */
function isEndlessPoll({ state, isLimited, probably }: Call): boolean {
  return !isLimited && probably === undefined && (state === "waiting" || state === "interrupted");
}

interface AskedEnd {
  readonly fd: number;
  readonly reads: boolean;
}

/** What a call waits for, any of it. */
interface Asked {
  readonly ends: readonly AskedEnd[];
  /** Of an epoll: other processes that have it, too. */
  readonly sharers?: readonly number[];
}

/** Undefined of calls that wait for something else, too. */
function askedOf(call: Call, pid: number, connections: Connections): Asked | undefined {
  const { name = "", descriptors } = call;
  if (READS.has(name) || WRITES.has(name))
    return isEndless(call) ? { ends: descriptors.slice(0, 1).map(({ fd }) => ({ fd, reads: READS.has(name) })) } : undefined;
  if (POLLS.has(name)) return isEndlessPoll(call) && hasAll(call) ? { ends: asks(descriptors) } : undefined;
  return EPOLLS.has(name) && isEndlessPoll(call) ? epollAsks(descriptors[0]?.fd, pid, connections) : undefined;
}

const POLLS = new Set(["poll", "ppoll", "select", "pselect6"]);
const EPOLLS = new Set(["epoll_wait", "epoll_pwait", "epoll_pwait2"]);

/** Whether the archive tells all of what it waits for. */
function hasAll({ name = "", args }: Call): boolean {
  return BigInt.asUintN(32, args[name.endsWith("poll") ? 1 : 0] ?? 0n) <= BigInt(MOST_DESCRIPTORS);
}

function asks(all: readonly { readonly fd: number; readonly events: readonly string[] }[]): AskedEnd[] {
  return all.flatMap(({ fd, events }) => [
    ...(events.includes("out") ? [{ fd, reads: false }] : []),
    // Nothing asked for is the end of the other side, which is read.
    ...(events.includes("out") && !events.includes("in") ? [] : [{ fd, reads: true }]),
  ]);
}

/** Who else has the epoll, and each other thread of the process, may have it watch more. */
function epollAsks(fd: number | undefined, pid: number, { table, descriptors, holders }: Connections): Asked | undefined {
  const file = table.files.get(descriptors.get(pid)?.find((one) => one.fd === fd)?.fileId ?? -1);
  // An edge that has come and gone leaves data that nobody is told of again; after one shot a descriptor is not watched until it is armed.
  if (file?.watches === undefined || file.watches.some(({ events }) => events.includes("edge"))) return undefined;
  const watched = file.watches.filter(
    ({ events }) => !events.includes("oneshot") || events.some((event) => /^(in|out|pri|rdhup)$/.test(event)),
  );
  const sharers = (holders.get(file.id) ?? []).flatMap((holder) => (holder.pid === pid ? [] : holder.pid));
  return { ends: asks(watched), sharers };
}

const [O_RDONLY, O_WRONLY, O_RDWR] = [0, 1, 2];

/** Who has the other end of a pipe or a connection, all of them; undefined where that is not known, or the process itself has it. */
function otherEnd(
  { fd, reads }: AskedEnd,
  pid: number,
  connections: Connections,
): { readonly pids: readonly number[]; readonly text: string } | undefined {
  const { table, descriptors, queues } = connections;
  const file = table.files.get(descriptors.get(pid)?.find((one) => one.fd === fd)?.fileId ?? -1);
  if (file === undefined || queues === undefined || (file.type !== "pipe" && !isConnection(file)) || (reads && hasQueued(file, queues)))
    return undefined;
  // Nobody reads what is open for writing alone.
  const closed = file.pipeId === undefined ? undefined : reads ? O_WRONLY : O_RDONLY;
  if (closed !== undefined && ((file.flags ?? O_RDWR) & 3) === closed) return undefined;
  const holders = connections.others(file);
  // A process that has the other end itself may write to it from a signal handler.
  if (holders.length === 0 || holders.length >= ALL_KNOWN || holders.some((holder) => holder.backlog || holder.pid === pid))
    return undefined;
  const pids = [...new Set(holders.map((holder) => holder.pid))];
  const name = file.type === "pipe" ? file.name : `a ${file.socket?.protocol ?? ""} connection`;
  return { pids, text: `${reads ? "data in" : "room in"} ${name}, which only ${processesText(pids)} can ${reads ? "write to" : "read"}` };
}

function isConnection({ socket }: OpenFile): boolean {
  return socket !== undefined && (socket.family === "unix" ? socket.peer !== undefined : socket.protocol === "tcp" && socket.remote !== "");
}

function hasQueued({ id, pipeId, socket }: OpenFile, { pipes, sockets, streams }: NonNullable<Connections["queues"]>): boolean {
  if (pipeId !== undefined) return (pipes.get(pipeId) ?? 0) > 0;
  const bytes = socket?.protocol === "tcp" ? (streams.get(socket.inode)?.received ?? 1) : (sockets.get(id)?.packets ?? 0);
  return bytes > 0;
}

export function processesText(pids: readonly number[]): string {
  return pids.length === 1 ? `process ${pids[0]}` : `processes ${pids.join(", ")}`;
}
