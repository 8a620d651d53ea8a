/** What an open file is. */
export type FileType =
  | "file"
  | "directory"
  | "device"
  | "symlink"
  | "pipe"
  | "fifo"
  | "socket"
  | "eventfd"
  | "epoll"
  | "inotify"
  | "fanotify"
  | "signalfd"
  | "timerfd"
  | "pidfd"
  | "memfd"
  | "tty"
  | "namespace"
  | "tun"
  | "bpf-map"
  | "external"
  | "unknown";

/** A value of a document. */
export type Detail = string | number | boolean | readonly Detail[] | Details;

export interface Details {
  readonly [name: string]: Detail;
}

/** An open file description: what descriptors, mappings, working directories and executables refer to by its id. */
export interface OpenFile {
  readonly id: number;
  readonly type: FileType;
  /** A path, or what stands for one: "pipe:[97115]", "@zoo-abstract". */
  readonly name: string;
  /** O_RDONLY, O_APPEND and so on, as the bits of its machine; undefined where CRIU keeps none. */
  readonly flags: number | undefined;
  /** What its type has besides: position, counter, watches. */
  readonly details: Details;
  /** Of a socket. */
  readonly socket?: Socket;
  /** Of a pipe or FIFO: both ends have the same. */
  readonly pipeId?: number;
  /** Of a terminal: both ends have the same. */
  readonly ttyId?: number;
  readonly bpfMapId?: number;
  /** Of a memfd: its inode, which names its pagemap. */
  readonly shmid?: bigint;
  /** Of a file: the mount that it is in, of mountpoints-N.img. */
  readonly mountId?: number;
  /** Of an ELF file that is mapped: its build ID, in lowercase hexadecimal. */
  readonly buildId?: string;
  /** Of an epoll: descriptors of the process that added them. */
  readonly watches?: readonly EpollWatch[];
}

export interface EpollWatch {
  readonly fd: number;
  readonly events: readonly string[];
}

export interface Socket {
  /** "tcp", "udp", "unix", "netlink", "packet", … */
  readonly protocol: string;
  readonly family: "inet" | "inet6" | "unix" | "netlink" | "packet";
  /** "stream", "datagram", … */
  readonly kind: string;
  /** As ss writes it; undefined where the family has none. */
  readonly state: string | undefined;
  readonly local: string;
  /** Empty where it has no peer. */
  readonly remote: string;
  /** 0 where CRIU does not write it: of packet sockets. */
  readonly inode: number;
  /** Of a connected unix socket: the inode of its peer. */
  readonly peer: number | undefined;
  /** The network namespace that it is in, as CRIU numbers them; 0 where that is unknown. */
  readonly netNamespace: number;
  /** What it has besides: backlog, groups, options that were set. */
  readonly details: Details;
}

/** The details that say something. */
export function details(all: Readonly<Record<string, Detail | undefined | false>>): Details {
  const said: Record<string, Detail> = {};
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined && value !== false && value !== "") said[name] = value;
  }
  return said;
}

/** Numbers of the kernel that have names; those without are shown as they are. */
export function named(names: Readonly<Record<number, string>>, value: number): string {
  return names[value] ?? String(value);
}

/** The names of the bits that are set; bits without one together as a number. */
export function namedBits(names: readonly (readonly [bit: number, name: string])[], value: number): string[] {
  const known = names.filter(([bit]) => (value & bit) !== 0);
  const rest = known.reduce((left, [bit]) => left & ~bit, value) >>> 0;
  return [...known.map(([, name]) => name), ...(rest === 0 ? [] : [`0x${rest.toString(16)}`])];
}

/** "r", "w" or "rw", and what else changes how it is read and written; "path" for O_PATH, which can do neither. */
export function accessMode(flags: number): string {
  if (flags & O_PATH) return "path";
  const mode = ["r", "w", "rw", "none"][flags & 3] ?? "";
  return [mode, ...namedBits(STATUS_FLAGS, flags & 0o6000)].join(",");
}

const O_PATH = 0o10000000;

const STATUS_FLAGS = [
  [0o2000, "append"],
  [0o4000, "nonblock"],
] as const;
