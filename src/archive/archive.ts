import type { Readable } from "node:stream";
import type { Unlock } from "../age/open.ts";
import type { Source } from "../model/source.ts";
import type { Budget } from "./budget.ts";
import type { Compression } from "./compression.ts";

/** What a header of the archive says of a member. */
export interface Member {
  /** Relative, with "/" and without "." or "..", as nameText writes it: members whose names are anything else are listed apart, as hostile. */
  readonly name: string;
  readonly type: "file" | "directory" | "link" | "symlink" | "other";
  /** Of its data, in bytes. */
  readonly size: number;
  readonly mode: number;
  /** Of its owner, in the container. */
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch, as the header says. */
  readonly modifiedAt: number;
  /** Of "other", where it is one of these. */
  readonly special?: "character device" | "block device" | "fifo";
  /** Target of a link or symlink, as it stands there and nameText writes it. */
  readonly target: string;
}

/** An index over an archive: its members are found by seeking, never unpacked. */
export interface Archive {
  /** By name; of two members of one name the last, as unpacking would leave it. */
  readonly members: ReadonlyMap<string, Member>;
  /** The bytes of a file member. Throws a UserError where there is no such file. */
  open(name: string): Source;
  /** What the command may take for it: charged for what is decompressed and read of it. */
  readonly budget: Budget;
  /** The archive of the checkpoint before this one, whose pages it may refer to: where it was given. */
  readonly previous?: Archive;
}

/** A member whose name nothing should be unpacked under: listed, never opened. */
export interface HostileMember {
  /** As it stands in the archive, as nameText writes it. */
  readonly name: string;
  /** What is wrong with it: `is absolute`, `has ".." in it`… */
  readonly why: string;
}

/** An Archive with all that was met while indexing it. */
export interface IndexedArchive extends Archive {
  readonly hostile: readonly HostileMember[];
  /**
   * What is wrong with it as a tar archive, hostile names apart: damage, and what not all readers take alike. A sentence each, without a
   * full stop.
   */
  readonly problems: readonly string[];
  /** False where the chain of headers breaks off before its end: members may be missing. */
  readonly complete: boolean;
  /** Where the archive ends (its two zero blocks included), in bytes from its start. */
  readonly end: number;
}

/** An indexed archive, and what it holds open. */
export interface OpenArchive extends IndexedArchive, AsyncDisposable {
  /** "images": CRIU's images alone, without what an engine writes beside them. */
  readonly form: "engine" | "images";
  /** The image of whose layers it is one. */
  readonly image?: AroundIt;
  /** Of a pod's archive: the containers in it; the members are those of all of them then. */
  readonly pod?: PodContents;
  readonly compression: Compression;
  /** Of the file as it lies there, in bytes; undefined for a pipe. */
  readonly bytes: number | undefined;
  /**
   * Reads to the end of the file, where compressed ones have their checksums. Throws a UserError where the compressed data are damaged
   * or cut short.
   */
  rest(): Promise<Rest>;
}

/** An image that an archive was found in. */
export interface AroundIt {
  /** Of its manifest: "sha256:…"; undefined in Docker's archives, which have none. */
  readonly digest: string | undefined;
  /** What it is called there. */
  readonly names: readonly string[];
  /** What is wrong with it, a sentence each: reads the layer to its end. */
  problems(): Promise<string[]>;
}

/** What CRI-O writes of a whole pod. */
export interface PodContents {
  readonly namespace: string | undefined;
  readonly pod: string | undefined;
  readonly containers: readonly { readonly name: string; readonly directory: string }[];
}

/** An image in a registry, its layers to be read in order. */
export interface RemoteImage extends AsyncDisposable {
  /** Of its manifest. */
  readonly digest: string;
  /** Iterating throws a UserError where the bytes are not those of the layer's digest. */
  readonly layers: readonly { readonly bytes: number; open(): AsyncIterable<Buffer> }[];
}

/** What follows an archive's end, in bytes; padding is nothing. */
export interface Rest {
  /** Behind its closing zero blocks. */
  readonly afterArchive: number;
  /** Behind the compressed data. */
  readonly afterCompressed: number;
}

export interface OpenOptions {
  /**
   * Where one pass suffices: which members are kept in memory if the archive is compressed or comes through a pipe.
   * Without it, such an archive is expanded into a temporary file, and every member can be opened.
   */
  readonly keep?: (member: Member) => boolean;
  readonly signal?: AbortSignal;
  /**
   * Standard input, for those who may be asked to read it. Node.js's own stream: it may have made the descriptor one that
   * does not block, which no other reader expects.
   */
  readonly stdin?: () => Readable;
  /** Of the command; where it is not given, the archive gets one of its own. */
  readonly budget?: Budget;
  /** Finds the image of registry:REFERENCE, for those who may be asked to read one. */
  readonly pull?: (reference: string, architecture?: string) => Promise<RemoteImage>;
  /** Opens FILE.age, for those who may be asked to read one. */
  readonly unlock?: Unlock;
  /** The archive of a pod with several containers is opened as it is; else that is an error. */
  readonly pods?: boolean;
}

/** What whoever opens archives for a command is given. */
export type Reading = OpenOptions & { readonly signal: AbortSignal };
