import type { InterruptedThread } from "./documents.ts";

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
  /** Threads whose system call the checkpoint interrupted: in the original too. */
  readonly interrupted?: readonly InterruptedThread[] | undefined;
  /** Threads that wait for each other for ever: of what their locks, pipes and sockets tell, and nothing that is merely likely. */
  readonly deadlocks?: readonly DeadlockItem[] | undefined;
  /** Of memory in the archive: that which processes share counts once. */
  readonly memoryBytes: number;
  /** Where the engine keeps them. */
  readonly networks?: readonly NetworkItem[] | undefined;
  /** Roots of the process tree, or the one process that was asked for. */
  readonly processes: readonly ProcessItem[];
  readonly namespaces?: readonly NamespaceItem[] | undefined;
  readonly seccompFilters?: readonly SeccompFilterItem[] | undefined;
  readonly mounts?: readonly MountItem[];
  readonly ipc?: IpcItem | undefined;
  /** Of the root file system, and of what is mounted there and in the archive. */
  readonly changes?: readonly ChangeItem[] | undefined;
  readonly locks?: readonly LockItem[] | undefined;
  readonly deletedFiles?: readonly DeletedFileItem[] | undefined;
  readonly memfds?: readonly MemfdItem[] | undefined;
  /** Files of which the archive has another name, that CRIU gave them: they had none any more. */
  readonly renamedFiles?: readonly RenamedFileItem[] | undefined;
  /** Images of CRIU that this version does not know. */
  readonly unknownImages?: readonly string[];
  /** What could not be read. */
  readonly problems: readonly string[];
}

/** A file that the container has otherwise than its image. */
export interface ChangeItem {
  readonly path: string;
  /** Which of the two "added or changed" is, only the image tells. */
  readonly change: "added" | "changed" | "deleted" | "added or changed";
  /** "unknown" of what was deleted. */
  readonly type: "file" | "directory" | "link" | "symlink" | "other" | "unknown";
  /** Of "other", where it is one of these. */
  readonly special?: "character device" | "block device" | "fifo";
  /** What a file is, by its first bytes. */
  readonly content?: FileContent;
  readonly executable?: true;
  readonly setuid?: true;
  readonly setgid?: true;
  /** Of what was deleted, nothing that follows is known. */
  readonly mode?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly bytes?: number;
  readonly modifiedAt?: string;
  /** Of a file; absent where it could not be read to its end. */
  readonly sha256?: string;
  readonly target?: string;
  /** What has it, in the archive. */
  readonly member: string;
}

export type FileContent =
  | "ELF"
  | "Windows program"
  | "macOS program"
  | "script"
  | "archive"
  | "private key"
  | "public key"
  | "certificate"
  | "database"
  | "text"
  | "data"
  | "empty";

export interface ProcessItem {
  readonly pid: number;
  /** Absent where the archive has no process tree. */
  readonly ppid?: number | undefined;
  readonly pgid?: number | undefined;
  readonly sid?: number | undefined;
  readonly comm: string;
  readonly state: string;
  /** Of a zombie. */
  readonly exitCode?: number | undefined;
  readonly exitSignal?: string | undefined;
  /** Absent where its memory is not in the archive. */
  readonly args?: readonly string[] | undefined;
  readonly executable?: string | undefined;
  /** Where the archive has its bytes, if it has. */
  readonly executableIn?: string | undefined;
  readonly cwd?: string | undefined;
  readonly root?: string | undefined;
  readonly umask?: string | undefined;
  readonly threads: readonly ThreadItem[];
  readonly oomScoreAdjust?: number | undefined;
  readonly signals: { readonly pending: readonly string[]; readonly blocked: readonly string[] };
  readonly timers: readonly TimerItem[];
  readonly subreaper: boolean;
  readonly loginUid?: number | undefined;
  /** False where nobody but root may look at it (PR_SET_DUMPABLE). */
  readonly dumpable?: boolean | undefined;
  /** By type, as CRIU numbers them: the inspection's `namespaces` has what is in them. */
  readonly namespaces?: Readonly<Record<string, string>> | undefined;
  readonly cgroups?: readonly { readonly controllers: string; readonly path: string }[] | undefined;
  /** Soft and hard, by name; numbers or "unlimited". */
  readonly limits: Readonly<Record<string, { readonly soft: number | string; readonly hard: number | string }>>;
  /** In their order, with those that are there twice. */
  readonly env?: readonly VariableItem[] | undefined;
  readonly files?: readonly FileItem[] | undefined;
  readonly sockets?: readonly SocketItem[] | undefined;
  readonly memory?: MemoryItem | undefined;
  readonly children: readonly ProcessItem[];
}

/** A variable of an environment; what has no "=" has no value. */
export interface VariableItem {
  readonly name: string;
  readonly value?: string;
}

export interface TimerItem {
  /** "real", "virtual", "profiling" of setitimer(2), "posix". */
  readonly kind: string;
  readonly id?: number;
  readonly clock?: string;
  readonly signal?: string;
  readonly expiresInSeconds: number;
  /** 0 where it expires once. */
  readonly everySeconds: number;
}

export interface ThreadItem {
  readonly tid: number;
  readonly comm: string;
  readonly nice: number;
  readonly scheduling: string;
  readonly priority: number;
  readonly seccomp: string;
  /** How many filters it has, and the id of the one that was installed first, in the inspection's `seccompFilters`. */
  readonly seccompFilters?: number | undefined;
  readonly seccompFilter?: number | undefined;
  readonly parentDeathSignal?: string | undefined;
  readonly credentials?: CredentialsItem | undefined;
  /** General registers in hexadecimal, by the names that debuggers have for them. With `threads` only, as all that follows. */
  readonly registers?: Readonly<Record<string, string>>;
  readonly instruction?: InstructionItem;
  /** Absent where it was in no system call. */
  readonly call?: ThreadCallItem;
  readonly waitsFor?: LockItemOfThread;
}

/** Where a thread was. */
export interface InstructionItem {
  readonly address: string;
  /** The mapped file, and how far from its beginning. */
  readonly module?: string;
  readonly offset?: string;
  /** Where the archive has the bytes of the file: "lock_wait+0x1a". */
  readonly symbol?: string;
}

export interface ThreadCallItem {
  /** Absent where this version does not know the number. */
  readonly name?: string;
  readonly number: number;
  /**
   * "waiting": a restored thread enters it again. "interrupted": it returns EINTR. "returned": it had just returned. "last": the call that
   * the thread was in, or was in last: of aarch64 only the code that the thread is in tells that.
   */
  readonly state: "waiting" | "interrupted" | "returned" | "last";
  /** Of "returned"; of aarch64 also of "interrupted". */
  readonly result?: string;
  /** The six words in hexadecimal; of aarch64 the first is the result where it has returned. */
  readonly arguments: readonly string[];
  /** Of restart_syscall: the call that it takes up again, as its arguments look. */
  readonly probably?: string;
  readonly descriptors?: readonly CallDescriptorItem[];
  /** From when the call was made. */
  readonly timeoutSeconds?: number;
  /** At which time of which clock it ends. */
  readonly until?: { readonly clock: string; readonly seconds: number };
  readonly futex?: { readonly address: string; readonly operation: string; readonly private: boolean; readonly value: number };
  /** Of wait4 and waitid: a PID, "group 7", "any". */
  readonly child?: string;
}

/** What a call works on or waits for; `type` is "closed" where it is not open. */
export interface CallDescriptorItem {
  readonly fd: number;
  readonly type: string;
  readonly name: string;
  readonly events?: readonly string[];
  /** Of a socket: "tcp", "unix", …; its state and addresses. */
  readonly protocol?: string;
  readonly state?: string;
  readonly local?: string;
  readonly remote?: string;
  /** Of a pipe or a connected socket: who has the other end. */
  readonly otherEnds?: readonly Holder[];
  /** Of an epoll: what it watches. */
  readonly watches?: readonly { readonly fd: number; readonly type: string; readonly name: string }[];
}

/** What a thread waits for on a futex. */
export interface LockItemOfThread {
  /** "mutex", "read-write lock", "FILE", "thread", "Python lock", "Python RLock"; "futex" where nothing tells. */
  readonly kind: string;
  /** Of the lock: threads that wait for the same one have the same. */
  readonly address: string;
  /** Absent where nothing tells who has it. */
  readonly owner?: {
    readonly tid: number;
    /** Its process; absent where no process of the archive has such a thread. */
    readonly pid?: number;
    /** False where it is no thread that could give the lock back: it locked before a fork, or has ended. */
    readonly exists: boolean;
  };
  /** Whether this kind of lock records no owner. */
  readonly anonymous?: true;
}

export interface DeadlockItem {
  readonly threads: readonly { readonly pid: number; readonly tid: number }[];
  /** "thread 7 waits for a lock that thread 8 holds, which waits for one that thread 7 holds" */
  readonly text: string;
}

export interface CredentialsItem {
  readonly uid: UserIdsItem;
  readonly gid: UserIdsItem;
  readonly groups: readonly number[];
  /** By set: effective, permitted, inheritable, bounding, ambient. */
  readonly capabilities: Readonly<Record<"effective" | "permitted" | "inheritable" | "bounding" | "ambient", readonly string[]>>;
  readonly noNewPrivileges: boolean;
  readonly secureBits: readonly string[];
  readonly profile: string;
}

/** As in the container. In a user namespace, `outside` is the effective one on the node; null where it is none there. */
export interface UserIdsItem {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  readonly filesystem: number;
  readonly outside?: number | null;
}

/** A descriptor that a process has. */
export interface Holder {
  readonly pid: number;
  readonly fd: number;
  /** Of a listening socket, where the other end waits to be accepted. */
  readonly backlog?: true;
}

export interface FileItem {
  readonly fd: number;
  readonly type: string;
  readonly name: string;
  /** "r", "w", "rw", "path", and "append", "nonblock". */
  readonly mode?: string | undefined;
  readonly closeOnExec: boolean;
  readonly deleted: boolean;
  /** Of a pipe or FIFO: who has the other end, of many the first 16; empty where nobody in the container is known to. */
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
  /** Who has the other end of its connection, of many the first 16; empty where nobody in the container is known to. */
  readonly peers?: readonly Holder[] | undefined;
  /** Bytes received and not yet read; sent and not yet acknowledged. Absent where they are unknown. */
  readonly receiveQueue?: number | undefined;
  readonly sendQueue?: number | undefined;
  /** Absent where it is unknown. */
  readonly inode?: string | undefined;
  /** Open files that wait in its queue, to become descriptors of who receives them. */
  readonly inFlight?: readonly { readonly type: string; readonly name: string }[];
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
  readonly growsDown?: true;
  /** Of madvise(2). */
  readonly advice?: readonly string[];
}

/** Who uses a file: has it open, runs it or maps it. */
export interface Users {
  readonly openedBy: readonly Holder[];
  /** Pids. */
  readonly runBy: readonly number[];
  readonly mappedBy: readonly number[];
}

export interface DeletedFileItem extends Users {
  readonly path: string;
  readonly bytes: number;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** The image that has its bytes. */
  readonly image: string;
}

export interface MemfdItem extends Users {
  readonly name: string;
  readonly inode: string;
  readonly bytes: number;
  readonly uid: number;
  readonly gid: number;
  readonly seals: readonly string[];
}

export interface RenamedFileItem extends Users {
  readonly path: string;
  /** As the archive has it. */
  readonly renamedTo: string;
}

export interface NetworkItem {
  readonly name: string;
  readonly interface: string;
  /** With their prefixes: "10.88.0.7/16". */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly mac: string | undefined;
}

export interface NamespaceItem {
  readonly type: string;
  readonly id: string;
  readonly pids: readonly number[];
  readonly hostname?: string;
  readonly domainname?: string;
  readonly uidMap?: readonly IdRangeItem[];
  readonly gidMap?: readonly IdRangeItem[];
  readonly monotonicSeconds?: number;
  readonly boottimeSeconds?: number;
  readonly external?: string;
  /** Of a network namespace. */
  readonly devices?: readonly DeviceItem[];
}

export interface IdRangeItem {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** A network device. */
export interface DeviceItem {
  readonly name: string;
  readonly type: string;
  readonly index: number;
  readonly mac?: string;
  readonly mtu: number;
  readonly up: boolean;
}

export interface SeccompFilterItem {
  readonly id: number;
  /** The one that was installed after it. */
  readonly next?: number | undefined;
  readonly instructions: number;
  readonly flags: readonly string[];
  /** System calls by what the filter answers: "allow", "errno 1", "depends on arguments", … */
  readonly calls?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** Of System V. Keys are those that programs find them by. */
export interface IpcItem {
  readonly segments: readonly (IpcObjectItem & { readonly bytes: number; readonly mappedBy: readonly number[] })[];
  readonly semaphores: readonly (IpcObjectItem & { readonly values: readonly number[] })[];
  readonly queues: readonly (IpcObjectItem & {
    readonly maxBytes: number;
    readonly messages: readonly { readonly type: number; readonly bytes: number }[];
  })[];
}

export interface IpcObjectItem {
  readonly id: number;
  readonly key: string;
  readonly namespace: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: string;
}

export interface LockItem {
  /** "flock", "posix", "ofd", "lease". */
  readonly kind: string;
  /** "read" or "write". */
  readonly mode: string;
  readonly pid: number;
  readonly fd: number;
  readonly path?: string | undefined;
  readonly start: number;
  /** 0 reaches to the end, wherever that will be. */
  readonly length: number;
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
