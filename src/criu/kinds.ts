import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { decode, weigh } from "./decode.ts";
import { CgroupEntrySchema } from "./gen/cgroup_pb.ts";
import { GhostChunkEntrySchema, GhostFileEntrySchema, IrmapCacheEntrySchema, RemapFilePathEntrySchema } from "./gen/deleted_pb.ts";
import * as files from "./gen/files_pb.ts";
import { FanotifyFileEntrySchema, FanotifyMarkEntrySchema, InotifyFileEntrySchema, InotifyWdEntrySchema } from "./gen/fsnotify_pb.ts";
import { CpuinfoEntrySchema, InventoryEntrySchema } from "./gen/inventory_pb.ts";
import * as ipc from "./gen/ipc_pb.ts";
import { MmEntrySchema, PagemapEntrySchema, PagemapHeadSchema, VmaEntrySchema } from "./gen/memory_pb.ts";
import { AutofsEntrySchema, BinfmtMiscEntrySchema, MntEntrySchema } from "./gen/mounts_pb.ts";
import * as namespaces from "./gen/namespaces_pb.ts";
import { NetDeviceEntrySchema, NetnsEntrySchema } from "./gen/network_pb.ts";
import * as tasks from "./gen/process_pb.ts";
import * as queues from "./gen/queues_pb.ts";
import * as registers from "./gen/registers_pb.ts";
import { ApparmorEntrySchema } from "./gen/security_pb.ts";
import { InetSkEntrySchema, NetlinkSkEntrySchema, PacketSockEntrySchema, UnixSkEntrySchema } from "./gen/sockets_pb.ts";
import { StatsEntrySchema } from "./gen/stats_pb.ts";
import { TtyDataEntrySchema, TtyFileEntrySchema, TtyInfoEntrySchema } from "./gen/tty_pb.ts";
import type { Entry, Image } from "./image.ts";
import { padded } from "./ipc.ts";
import { count } from "./numbers.ts";

/** Reads an image's entries, one call for each in order; answers how many bytes follow the entry that are none. */
export type EntryReader = (entry: Entry) => number;

/** What images of one kind are made of. */
export interface ImageKind {
  /** As CRIU calls it. */
  readonly name: string;
  reader(image: Image): EntryReader;
}

/** By the word that an image begins with. All of CRIU 4.2, and those of before 3.3 that files.img has taken the place of. */
export const KINDS: ReadonlyMap<number, ImageKind> = new Map([
  [0x59423047, plain("APPARMOR", ApparmorEntrySchema)],
  [0x49353943, plain("AUTOFS", AutofsEntrySchema)],
  [0x67343323, plain("BINFMT_MISC", BinfmtMiscEntrySchema)],
  [0x64324033, followed("BPFMAP_DATA", queues.BpfmapDataEntrySchema, ({ keysBytes, valuesBytes }) => keysBytes + valuesBytes)],
  [0x57506142, plain("BPFMAP_FILE", files.BpfmapFileEntrySchema)],
  [0x59383330, plain("CGROUP", CgroupEntrySchema)],
  [0x55053847, { name: "CORE", reader: coreReader }],
  [0x61404013, plain("CPUINFO", CpuinfoEntrySchema)],
  [0x54023547, plain("CREDS", tasks.CredsEntrySchema)],
  [0x44523722, plain("EVENTFD_FILE", files.EventfdFileEntrySchema)],
  [0x45023858, plain("EVENTPOLL_FILE", files.EventpollFileEntrySchema)],
  [0x44433746, plain("EVENTPOLL_TFD", files.EventpollTfdEntrySchema)],
  [0x59255641, plain("EXT_FILES", files.ExtFileEntrySchema)],
  [0x55096122, plain("FANOTIFY_FILE", FanotifyFileEntrySchema)],
  [0x56506035, plain("FANOTIFY_MARK", FanotifyMarkEntrySchema)],
  [0x56213732, plain("FDINFO", files.FdinfoEntrySchema)],
  [0x58364939, plain("FIFO", files.FifoEntrySchema)],
  [0x59333054, followed("FIFO_DATA", queues.PipeDataEntrySchema, ({ bytes }) => bytes)],
  [0x56303138, plain("FILES", files.FileEntrySchema)],
  [0x54323616, plain("FILE_LOCKS", files.FileLockEntrySchema)],
  [0x51403912, plain("FS", tasks.FsEntrySchema)],
  [0x52583605, { name: "GHOST_FILE", reader: ghostReader }],
  [0x54432030, plain("IDS", namespaces.TaskKobjIdsEntrySchema)],
  [0x56443851, plain("INETSK", InetSkEntrySchema)],
  [0x48424431, plain("INOTIFY_FILE", InotifyFileEntrySchema)],
  [0x54562009, plain("INOTIFY_WD", InotifyWdEntrySchema)],
  [0x58313116, plain("INVENTORY", InventoryEntrySchema)],
  [0x55453737, { name: "IPCNS_MSG", reader: messageQueueReader }],
  [0x59573019, followed("IPCNS_SEM", ipc.IpcSemEntrySchema, ({ nsems }) => padded(nsems * 2, 8))],
  [
    0x46283044,
    followed("IPCNS_SHM", ipc.IpcShmEntrySchema, ({ size, inPagemaps }, { name }) => (inPagemaps ? 0 : padded(count(size, name), 4))),
  ],
  [0x53115007, plain("IPC_VAR", ipc.IpcVarEntrySchema)],
  [0x57004059, plain("IRMAP_CACHE", IrmapCacheEntrySchema)],
  [0x57464056, plain("ITIMERS", tasks.ItimerEntrySchema)],
  [0x48453499, plain("MEMFD_INODE", files.MemfdInodeEntrySchema)],
  [0x57492820, plain("MM", MmEntrySchema)],
  [0x55563928, plain("MNTS", MntEntrySchema)],
  [0x57373951, plain("NETDEV", NetDeviceEntrySchema)],
  [0x58005614, plain("NETLINK_SK", NetlinkSkEntrySchema)],
  [0x55933752, plain("NETNS", NetnsEntrySchema)],
  [0x61394011, plain("NS_FILES", files.NsFileEntrySchema)],
  [0x60454618, plain("PACKETSK", PacketSockEntrySchema)],
  [0x56084025, headed("PAGEMAP", PagemapHeadSchema, PagemapEntrySchema)],
  [0x54435556, plain("PIDFD", files.PidfdEntrySchema)],
  [0x61157326, plain("PIDNS", namespaces.PidnsEntrySchema)],
  [0x56513555, plain("PIPES", files.PipeEntrySchema)],
  [0x56453709, followed("PIPES_DATA", queues.PipeDataEntrySchema, ({ bytes }) => bytes)],
  [0x52603957, plain("POSIX_TIMERS", tasks.PosixTimerEntrySchema)],
  [0x50273030, plain("PSTREE", tasks.PstreeEntrySchema)],
  [0x50363636, plain("REG_FILES", files.RegFileEntrySchema)],
  [0x59133954, plain("REMAP_FPATH", RemapFilePathEntrySchema)],
  [0x57113925, plain("RLIMIT", tasks.RlimitEntrySchema)],
  [0x64413049, plain("SECCOMP", tasks.SeccompEntrySchema)],
  [0x55344201, plain("SIGACT", tasks.SaEntrySchema)],
  [0x59255647, plain("SIGNAL", tasks.SiginfoEntrySchema)],
  [0x57323820, plain("SIGNALFD", files.SignalfdEntrySchema)],
  [0x56264026, followed("SK_QUEUES", queues.SkPacketEntrySchema, ({ length }) => length)],
  [0x57093306, plain("STATS", StatsEntrySchema)],
  [0x51465506, followed("TCP_STREAM", queues.TcpStreamEntrySchema, ({ inqLen, outqLen }) => inqLen + outqLen)],
  [0x43114433, plain("TIMENS", namespaces.TimensEntrySchema)],
  [0x50493712, plain("TIMERFD", files.TimerfdEntrySchema)],
  [0x59413026, plain("TTY_DATA", TtyDataEntrySchema)],
  [0x59433025, plain("TTY_FILES", TtyFileEntrySchema)],
  [0x59453036, plain("TTY_INFO", TtyInfoEntrySchema)],
  [0x57143751, plain("TUNFILE", files.TunfileEntrySchema)],
  [0x54373943, plain("UNIXSK", UnixSkEntrySchema)],
  [0x55474906, plain("USERNS", namespaces.UsernsEntrySchema)],
  [0x54473203, plain("UTSNS", namespaces.UtsnsEntrySchema)],
  [0x54123737, plain("VMAS", VmaEntrySchema)],
]);

/** Images without CRIU's words: pages, archives of tmpfs, what the tools of the network wrote. */
export const RAW = /^(pages-.*|.*\.tar\.gz|(ip6?|nf)tables-.*|ifaddr-.*|route6?-.*|rule-.*|netns-(ct|exp)-.*)\.img$/;

/** Nothing is made of its entries: an image can have a million of them. */
function plain(name: string, schema: DescMessage): ImageKind {
  return {
    name,
    reader: (image) => (entry) => {
      weigh(schema, entry.bytes, image.name);
      return 0;
    },
  };
}

function followed<D extends DescMessage>(name: string, schema: D, length: (entry: MessageShape<D>, image: Image) => number): ImageKind {
  return { name, reader: (image) => (entry) => length(decode(schema, entry.bytes, image.name), image) };
}

function headed(name: string, head: DescMessage, rest: DescMessage): ImageKind {
  return {
    name,
    reader: (image) => {
      let schema = head;
      return ({ bytes }) => {
        weigh(schema, bytes, image.name);
        schema = rest;
        return 0;
      };
    },
  };
}

/** A thread's registers stand in its image as bytes: see registers.proto. */
function coreReader(image: Image): EntryReader {
  return ({ bytes }) => {
    const core = decode(tasks.CoreEntrySchema, bytes, image.name);
    for (const [field, schema] of REGISTERS) if (core[field].length > 0) decode(schema, core[field], image.name);
    return 0;
  };
}

const REGISTERS = [
  ["threadInfo", registers.ThreadInfoX86Schema],
  ["tiArm", registers.ThreadInfoArmSchema],
  ["tiAarch64", registers.ThreadInfoAarch64Schema],
  ["tiPpc64", registers.ThreadInfoPpc64Schema],
  ["tiS390", registers.ThreadInfoS390Schema],
  ["tiMips", registers.ThreadInfoMipsSchema],
  ["tiLoongarch64", registers.ThreadInfoLoongarch64Schema],
  ["tiRiscv64", registers.ThreadInfoRiscv64Schema],
] as const;

/** A head, then either the whole content, or pieces of it, each after an entry of its own. */
function ghostReader({ name, source }: Image): EntryReader {
  let inChunks: boolean | undefined;
  return ({ bytes, end }) => {
    if (inChunks !== undefined) return count(decode(GhostChunkEntrySchema, bytes, name).len, name);
    inChunks = decode(GhostFileEntrySchema, bytes, name).chunks;
    return inChunks ? 0 : source.size - end;
  };
}

/** Each queue is followed by its messages, which are entries that their text follows. */
function messageQueueReader({ name }: Image): EntryReader {
  let messages = 0;
  return ({ bytes }) => {
    if (messages === 0) {
      messages = decode(ipc.IpcMsgEntrySchema, bytes, name).qnum;
      return 0;
    }
    messages -= 1;
    return padded(decode(ipc.IpcMsgSchema, bytes, name).msize, 8);
  };
}
