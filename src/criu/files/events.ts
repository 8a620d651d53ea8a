import type { EventfdFileEntry, EventpollFileEntry, PidfdEntry, SignalfdEntry, TimerfdEntry } from "../gen/files_pb.ts";
import type { FanotifyFileEntry, FanotifyMarkEntry, FhEntry, InotifyFileEntry, InotifyWdEntry } from "../gen/fsnotify_pb.ts";
import { hex } from "../numbers.ts";
import { signalNames } from "../signals.ts";
import { clockName, seconds } from "../task.ts";
import { details, namedBits, type Details, type OpenFile } from "./file.ts";

/** An eventfd with its counter. */
export function eventFile({ id, flags, counter }: EventfdFileEntry): OpenFile {
  return { id, type: "eventfd", name: "eventfd", flags, details: { counter: Number(counter) } };
}

/** An epoll with the descriptors that it watches. */
export function epollFile({ id, flags, tfd }: EventpollFileEntry): OpenFile {
  const watches = tfd.map(({ tfd: fd, events }) => ({ fd, events: namedBits(EPOLL_EVENTS, events & ~ALWAYS) }));
  return { id, type: "epoll", name: "epoll", flags, details: {}, watches };
}

/** EPOLLERR and EPOLLHUP: always watched for, so not told. */
const ALWAYS = 0x18;

/** From sys/epoll.h. */
const EPOLL_EVENTS = [
  [0x1, "in"],
  [0x2, "pri"],
  [0x4, "out"],
  [0x2000, "rdhup"],
  [0x10000000, "exclusive"],
  [0x20000000, "wakeup"],
  [0x40000000, "oneshot"],
  [0x80000000, "edge"],
] as const;

/** A timerfd with what is left until it expires. */
export function timerFile({ id, flags, clockid, vsec, vnsec, isec, insec, ticks }: TimerfdEntry): OpenFile {
  return {
    id,
    type: "timerfd",
    name: "timerfd",
    flags,
    details: details({
      clock: clockName(clockid),
      expiresInSeconds: seconds(vsec, vnsec, 1e9),
      everySeconds: (isec !== 0n || insec !== 0n) && seconds(isec, insec, 1e9),
      expired: ticks > 0n && Number(ticks),
    }),
  };
}

/** A signalfd with the signals that it takes. */
export function signalFile({ id, flags, sigmask }: SignalfdEntry): OpenFile {
  return { id, type: "signalfd", name: "signalfd", flags, details: { signals: signalNames(sigmask) } };
}

/** A pidfd with the process that it stands for. */
export function pidFile({ id, flags, nspid }: PidfdEntry): OpenFile {
  return { id, type: "pidfd", name: "pidfd", flags, details: { process: nspid } };
}

/** An inotify with what it watches, by path where CRIU found one. */
export function inotifyFile({ id, flags, wd }: InotifyFileEntry): OpenFile {
  return { id, type: "inotify", name: "inotify", flags, details: { watches: wd.map(inotifyWatch) } };
}

function inotifyWatch({ wd, iIno, sDev, mask, fHandle }: InotifyWdEntry): Details {
  return { ...place(fHandle, iIno, sDev), events: namedBits(NOTIFY_EVENTS, mask), wd };
}

/** A fanotify with what it marks. */
export function fanotifyFile({ id, flags, mark }: FanotifyFileEntry): OpenFile {
  return { id, type: "fanotify", name: "fanotify", flags, details: { watches: mark.map(fanotifyMark) } };
}

function fanotifyMark({ sDev, mask, ie, me }: FanotifyMarkEntry): Details {
  const where = me === undefined ? place(ie?.fHandle, ie?.iIno ?? 0n, sDev) : { mount: me.path === "" ? String(me.mntId) : me.path };
  return { ...where, events: namedBits(NOTIFY_EVENTS, mask) };
}

function place(handle: FhEntry | undefined, inode: bigint, device: number): Details {
  return handle === undefined || handle.path === "" ? { inode: hex(inode), device: hex(device) } : { path: handle.path };
}

/** From sys/inotify.h; fanotify has the same bits. */
const NOTIFY_EVENTS = [
  [0x1, "access"],
  [0x2, "modify"],
  [0x4, "attrib"],
  [0x8, "close-write"],
  [0x10, "close-nowrite"],
  [0x20, "open"],
  [0x40, "moved-from"],
  [0x80, "moved-to"],
  [0x100, "create"],
  [0x200, "delete"],
  [0x400, "delete-self"],
  [0x800, "move-self"],
  [0x40000000, "on-dir"],
] as const;
