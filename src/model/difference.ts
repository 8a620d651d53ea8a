import type { ChangeItem, FileItem, MountItem, SocketItem, VariableItem } from "./inspection.ts";

/** The document of `diff`: what the second archive has that the first has not ("added"), has no more, or has otherwise. */
export interface Difference {
  readonly apiVersion: string;
  readonly kind: "Difference";
  /** True where nothing differs of what could be compared. */
  readonly same: boolean;
  /** Two checkpoints of one container, whose processes are told by pid; otherwise they are matched by tree and command. */
  readonly sameContainer: boolean;
  readonly from: Compared;
  readonly to: Compared;
  readonly processes: {
    readonly added: readonly ProcessReference[];
    readonly removed: readonly ProcessReference[];
    readonly changed: readonly ProcessDifference[];
  };
  readonly mounts: Changes<MountItem>;
  /** What the archives have of changes in their root file systems; hashes where they were asked for. */
  readonly rootfs: Changes<ChangeItem>;
  /** What could not be compared, and what is wrong with the archives. */
  readonly problems: readonly string[];
}

export interface Compared {
  readonly path: string;
  readonly container?: string | undefined;
  readonly pod?: string | undefined;
  readonly namespace?: string | undefined;
  readonly checkpointedAt?: string | undefined;
}

export interface Changes<T> {
  readonly added: readonly T[];
  readonly removed: readonly T[];
  readonly changed: readonly { readonly from: T; readonly to: T }[];
}

export interface ProcessReference {
  readonly pid: number;
  readonly comm: string;
  readonly args?: readonly string[] | undefined;
}

/** A process that both have. */
export interface ProcessDifference {
  readonly pid: number;
  /** In the second archive, where it is another number. */
  readonly otherPid?: number;
  readonly comm: string;
  readonly args?: readonly string[] | undefined;
  /** Of comm, args, state, executable, cwd, root, umask, threads, credentials: what is otherwise. */
  readonly fields: readonly { readonly name: string; readonly from: unknown; readonly to: unknown }[];
  readonly environment: Changes<VariableItem>;
  readonly files: Changes<FileItem>;
  readonly sockets: Changes<SocketItem>;
  readonly memory?: MemoryDifference | undefined;
}

/** Memory that either archive holds, page by page; bytes. */
export interface MemoryDifference {
  readonly comparedBytes: number;
  readonly changedBytes: number;
  readonly percent: number;
  /** Regions with any change. */
  readonly regions: readonly RegionDifference[];
}

export interface RegionDifference {
  /** Of the region in the first archive; in the second one for two checkpoints of one container, and where only that has it. */
  readonly start: string;
  readonly kind: string;
  readonly name: string;
  readonly only?: "from" | "to";
  readonly comparedBytes: number;
  readonly changedBytes: number;
  readonly percent: number;
}
