import type { UserError } from "./error.ts";

/** apiVersion of every document that -o json|yaml prints (design: the command-line contract). */
export const API_VERSION = "checkpoint.kubectl/v1";

/** One container's checkpoint, as far as it came. Times are RFC 3339 in UTC with milliseconds, by this machine's clock. */
export interface CheckpointItem {
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly container: string;
  readonly containerID: string;
  readonly imageID: string;
  readonly node: string;
  /** Of the node: "containerd://2.1.9"; absent where nodes may not be read. */
  readonly runtime?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly seconds: number;
  /** There whenever the archive was made, also where a later phase failed. */
  readonly nodePath?: string;
  /** How long the container may have been paused: the kubelet's call, an upper bound. Absent where nothing was asked of the kubelet. */
  readonly pausedSeconds?: number;
  /** Whether the same container keeps running, not restarted; null where that could not be seen, absent until it was looked at. */
  readonly stillRunning?: boolean | null;
  /** For how long after the kubelet's answer that was watched. */
  readonly watchedSeconds?: number;
  /** What ended it, where it did not keep running. */
  readonly ended?: string;
  readonly restartCount: number;
  /** Threads whose system call the checkpoint interrupted, where the archive is on this machine. */
  readonly interrupted?: readonly InterruptedThread[];
  readonly copy?: Copy;
  /** Of the pod, beside the archive. */
  readonly volumes?: Volumes;
  readonly removedFromNode?: boolean;
  readonly error?: ItemError;
}

/** POD.volumes.tar: the emptyDirs of a pod, each below its name. */
export interface Volumes {
  /** Absolute. */
  readonly path: string;
  /** Of the tar archive, also where it is encrypted. */
  readonly bytes: number;
  readonly sha256: string;
  /** Of FILE.age, where the path is one. */
  readonly encrypted?: { readonly bytes: number; readonly sha256: string };
  /** Of the volumes in it. */
  readonly names: readonly string[];
  readonly entries: number;
  /** What is not in it as it was, by kind: socket, device, fifo, other, changed, unreadable. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** Where containers saw them. */
  readonly mounts: readonly {
    readonly container: string;
    readonly path: string;
    readonly volume: string;
    readonly subPath?: string;
  }[];
}

/** A thread by its id in the container; `call` is absent where the registers of its architecture are not read. */
export interface InterruptedThread {
  readonly tid: number;
  readonly comm: string;
  readonly call?: string | undefined;
}

/** An archive on this machine, verified. */
export interface Copy {
  /** Absolute; absent where the bytes went to stdout. */
  readonly path?: string;
  /** FILE.json beside it. */
  readonly record?: string;
  /** FILE.sigstore.json beside it: its signature. */
  readonly bundle?: string;
  /** Of the archive, also where it is encrypted. */
  readonly bytes: number;
  /** Of the archive's bytes, here the same as on the node; in hexadecimal. */
  readonly sha256: string;
  /** Of FILE.age, where the path is one. */
  readonly encrypted?: { readonly bytes: number; readonly sha256: string };
  /** The age recipients, each of whom can open it. */
  readonly encryptedTo?: readonly string[];
  /** From the first byte asked for to the final name. */
  readonly seconds: number;
  /** What travelled, as compressed. */
  readonly wireBytes: number;
  /** How long CRIU itself froze the processes; the runtime paused the container for longer: `pausedSeconds`. */
  readonly frozenSeconds?: number;
}

/** One archive that was copied by itself. */
export interface CopyItem {
  readonly node: string;
  readonly nodePath: string;
  readonly copy?: Copy;
  readonly removedFromNode?: boolean;
  readonly error?: ItemError;
}

export interface CopyList {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "CopyList";
  readonly items: readonly CopyItem[];
}

export interface ItemError {
  readonly phase: "checkpoint" | "copy" | "verify" | "remove" | "seal" | "volumes";
  readonly reason: string;
  readonly message: string;
  readonly why?: string;
  readonly fix?: string;
}

export interface CheckpointList {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "CheckpointList";
  /** How far the API server's clock is ahead of this machine's, in seconds; 0 where they agree as far as can be told. */
  readonly clockOffsetSeconds: number;
  readonly items: readonly CheckpointItem[];
}

export function itemError(phase: ItemError["phase"], error: UserError): ItemError {
  return { phase, ...explained(error) };
}

/** A failure as documents have it. */
export function explained({ reason, message, why, fix }: UserError): Omit<ItemError, "phase"> {
  return { reason, message, ...(why === undefined ? {} : { why }), ...(fix === undefined ? {} : { fix }) };
}
