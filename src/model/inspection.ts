/** The document of `inspect`. Addresses and identifiers of the kernel are strings, sizes, pids and counts numbers. */
export interface Inspection {
  readonly apiVersion: string;
  readonly kind: "Inspection";
  /** Of the container and its pod, as far as the engine tells; pod and namespace where Kubernetes ran it. */
  readonly container?: string | undefined;
  readonly containerID?: string | undefined;
  readonly image?: string | undefined;
  readonly imageID?: string | undefined;
  readonly hostname?: string | undefined;
  readonly createdAt?: string | undefined;
  readonly startedAt?: string | undefined;
  readonly checkpointedAt?: string | undefined;
  readonly pod?: string | undefined;
  readonly namespace?: string | undefined;
  readonly podUID?: string | undefined;
  readonly engine?: string | undefined;
  readonly runtime?: string | undefined;
  readonly criu: {
    readonly version?: string | undefined;
    readonly kernel?: string | undefined;
    readonly imageVersion?: number | undefined;
    readonly runID?: string | undefined;
    readonly lsm: string;
    readonly plugins: readonly string[];
    readonly architecture?: string | undefined;
    readonly pageSize?: number | undefined;
  };
  /** What CRIU counted; absent where the engine does not keep it. */
  readonly stats?: StatsItem | undefined;
  /** Of memory in the archive: that which processes share counts once. */
  readonly memoryBytes: number;
  /** Roots of the process tree, or the one process that was asked for. */
  readonly processes: readonly ProcessItem[];
  readonly mounts?: readonly MountItem[];
  readonly deletedFiles?: readonly DeletedFileItem[] | undefined;
  /** Images of CRIU that this version does not know. */
  readonly unknownImages?: readonly string[];
  /** What could not be read. */
  readonly problems: readonly string[];
}

export interface ProcessItem {
  readonly pid: number;
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  readonly comm: string;
  readonly state: string;
  /** Of a zombie. */
  readonly exitCode?: number | undefined;
  readonly exitSignal?: string | undefined;
  /** Absent where its memory is not in the archive. */
  readonly args?: readonly string[] | undefined;
  readonly executable?: string | undefined;
  readonly cwd?: string | undefined;
  readonly root?: string | undefined;
  readonly umask?: string | undefined;
  readonly threads: readonly ThreadItem[];
  readonly oomScoreAdjust?: number | undefined;
  readonly signals: { readonly pending: readonly string[]; readonly blocked: readonly string[] };
  readonly timers: readonly string[];
  /** Soft and hard, by name; numbers or "unlimited". */
  readonly limits: Readonly<Record<string, { readonly soft: number | string; readonly hard: number | string }>>;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly files?: readonly FileItem[] | undefined;
  readonly sockets?: readonly SocketItem[] | undefined;
  readonly memory?: MemoryItem | undefined;
  readonly children: readonly ProcessItem[];
}

export interface ThreadItem {
  readonly tid: number;
  readonly comm: string;
  readonly nice: number;
  readonly seccomp: string;
  readonly credentials?: CredentialsItem | undefined;
}

export interface CredentialsItem {
  readonly uid: UserIdsItem;
  readonly gid: UserIdsItem;
  readonly groups: readonly number[];
  /** By set: effective, permitted, inheritable, bounding, ambient. */
  readonly capabilities: Readonly<Record<"effective" | "permitted" | "inheritable" | "bounding" | "ambient", readonly string[]>>;
  readonly noNewPrivileges: boolean;
  readonly profile: string;
}

export interface UserIdsItem {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  readonly filesystem: number;
}

/** A descriptor that a process has. */
export interface Holder {
  readonly pid: number;
  readonly fd: number;
}

export interface FileItem {
  readonly fd: number;
  readonly type: string;
  readonly name: string;
  /** "r", "w", "rw", and "append", "nonblock". */
  readonly mode?: string | undefined;
  readonly closeOnExec: boolean;
  readonly deleted: boolean;
  /** Of a pipe or FIFO: who has the other end, of many the first 16; empty where it is outside the container. */
  readonly otherEnds?: readonly Holder[] | undefined;
  /** Of a pipe or FIFO: bytes written and not yet read. */
  readonly queuedBytes?: number | undefined;
  readonly position?: number | undefined;
  readonly size?: number | undefined;
  /** Of a socket. */
  readonly protocol?: string | undefined;
  readonly local?: string | undefined;
  readonly remote?: string | undefined;
  /** Of an epoll, by descriptor; of inotify and fanotify, by place. */
  readonly watches?: readonly WatchItem[] | undefined;
  /** What its type has besides. */
  readonly [detail: string]: unknown;
}

export interface WatchItem {
  readonly fd?: number;
  readonly type?: string;
  readonly path?: string;
  readonly mount?: string;
  readonly inode?: string;
  readonly device?: string;
  readonly events: readonly string[];
}

export interface SocketItem {
  readonly fd: number;
  readonly protocol: string;
  readonly family: string;
  readonly kind: string;
  readonly state?: string | undefined;
  readonly local: string;
  readonly remote: string;
  /** Who has the other end of its connection, of many the first 16; empty where it is outside the container. */
  readonly peers?: readonly Holder[] | undefined;
  /** Bytes received and not yet read; sent and not yet acknowledged. */
  readonly receiveQueue?: number | undefined;
  readonly sendQueue: number;
  readonly inode: string;
  readonly [detail: string]: unknown;
}

export interface MemoryItem {
  readonly mappedBytes: number;
  readonly archivedBytes: number;
  /** In an earlier checkpoint or left on the node. */
  readonly elsewhereBytes: number;
  readonly kinds: readonly {
    readonly kind: string;
    readonly regions: number;
    readonly mappedBytes: number;
    readonly archivedBytes: number;
  }[];
  readonly regions?: readonly RegionItem[] | undefined;
}

export interface RegionItem {
  readonly start: string;
  readonly end: string;
  readonly kind: string;
  readonly access: string;
  readonly name: string;
  /** Where in the file or shared memory it begins, in bytes. */
  readonly offset: number;
  readonly mappedBytes: number;
  readonly archivedBytes: number;
}

export interface DeletedFileItem {
  readonly path: string;
  readonly bytes: number;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly openedBy: readonly Holder[];
}

export interface StatsItem {
  readonly freezingSeconds: number;
  readonly frozenSeconds: number;
  readonly memoryDumpSeconds: number;
  readonly memoryWriteSeconds: number;
  readonly pagesScanned: number;
  readonly pagesSkippedParent: number;
  readonly pagesWritten: number;
  readonly pagesLazy: number;
  readonly sharedPagesScanned: number;
  readonly sharedPagesSkippedParent: number;
  readonly sharedPagesWritten: number;
}

export interface MountItem {
  readonly id: string;
  readonly parent: string;
  readonly path: string;
  readonly type: string;
  readonly source: string;
  readonly root: string;
  readonly options: readonly string[];
  readonly superOptions: readonly string[];
  /** Brought in from outside the container: its content is not in the archive. */
  readonly external: boolean;
  readonly device: string;
  readonly namespace: string;
}
