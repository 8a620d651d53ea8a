import type {
  BpfmapFileEntry,
  ExtFileEntry,
  FifoEntry,
  MemfdFileEntry,
  MemfdInodeEntry,
  NsFileEntry,
  PipeEntry,
  TunfileEntry,
} from "../gen/files_pb.ts";
import type { TtyFileEntry, TtyInfoEntry } from "../gen/tty_pb.ts";
import { count, octal } from "../numbers.ts";
import { details, named, namedBits, type OpenFile } from "./file.ts";

/** One end of a pipe. */
export function pipeFile({ id, pipeId, flags }: PipeEntry): OpenFile {
  return { id, type: "pipe", name: `pipe:[${pipeId}]`, flags, details: {}, pipeId };
}

/** A FIFO by its path, which stands in a file of its own. */
export function fifoFile({ id, pipeId }: FifoEntry, path: OpenFile | undefined): OpenFile {
  return { id, type: "fifo", name: path?.name ?? `fifo:[${pipeId}]`, flags: path?.flags, details: {}, pipeId };
}

/** Anonymous memory with a descriptor. Shared anonymous memory is one too, named /dev/zero. */
export function memfdFile({ id, flags, pos, inodeId }: MemfdFileEntry, inode: MemfdInodeEntry | undefined, image: string): OpenFile {
  return {
    id,
    type: "memfd",
    name: `memfd:${inode?.name ?? inodeId}`,
    flags,
    details: details({
      position: count(pos, image),
      size: inode && count(inode.size, image),
      inode: inode && String(inode.shmid),
      seals: inode && inode.seals !== 0 && namedBits(SEALS, inode.seals),
      uid: inode?.uid,
      gid: inode?.gid,
      permissions: inode && inode.mode !== 0 && octal(inode.mode),
      hugePages: inode && inode.hugetlbFlag !== 0,
    }),
    ...(inode === undefined ? {} : { shmid: BigInt(inode.shmid) }),
  };
}

/** F_SEAL_* of fcntl.h. */
const SEALS = [
  [0x1, "seal"],
  [0x2, "shrink"],
  [0x4, "grow"],
  [0x8, "write"],
  [0x10, "future-write"],
  [0x20, "exec"],
] as const;

/** A terminal, by the path it was opened with where that is known. */
export function ttyFile({ id, flags, ttyInfoId }: TtyFileEntry, info: TtyInfoEntry | undefined, path: OpenFile | undefined): OpenFile {
  const number = info?.pty === undefined ? "" : `pts/${info.pty.index}`;
  return {
    id,
    type: "tty",
    name: path?.name ?? (number === "" ? "tty" : `/dev/${number}`),
    flags,
    ttyId: ttyInfoId,
    details: details({
      terminal: info && named(TTY_TYPES, info.type),
      number,
      session: info?.sid,
      foreground: info?.pgrp,
      rows: info?.winsize?.wsRow,
      columns: info?.winsize?.wsCol,
    }),
  };
}

const TTY_TYPES = { 1: "pty", 2: "console", 3: "vt", 4: "current", 5: "external", 6: "serial" } as const;

/** A namespace that is held open. */
export function namespaceFile({ id, flags, nsId, nsCflag }: NsFileEntry): OpenFile {
  return { id, type: "namespace", name: `${named(NAMESPACES, nsCflag)}:[${nsId}]`, flags, details: {} };
}

/** CLONE_NEW* of sched.h. */
const NAMESPACES = {
  0x80: "time",
  0x20000: "mnt",
  0x2000000: "cgroup",
  0x4000000: "uts",
  0x8000000: "ipc",
  0x10000000: "user",
  0x20000000: "pid",
  0x40000000: "net",
} as const;

/** A TUN or TAP device. */
export function tunFile({ id, netdev, detached }: TunfileEntry): OpenFile {
  return { id, type: "tun", name: "/dev/net/tun", flags: undefined, details: details({ device: netdev, detached }) };
}

/** A BPF map. */
export function bpfMapFile({ id, flags, mapId, mapType, keySize, valueSize, maxEntries }: BpfmapFileEntry): OpenFile {
  return { id, type: "bpf-map", name: `bpf-map:[${mapId}]`, flags, bpfMapId: mapId, details: { mapType, keySize, valueSize, maxEntries } };
}

/** What a plugin of CRIU dumped (a GPU, say). */
export function externalFile({ id }: ExtFileEntry): OpenFile {
  return { id, type: "external", name: `external:[${id}]`, flags: undefined, details: {} };
}
