import type { API_VERSION, ItemError } from "./documents.ts";

/** One file in a node's checkpoint directory. What cannot be told is absent, never guessed. */
export interface ArchiveItem {
  readonly node: string;
  /** Absolute, on the node; bytes of its name that are not UTF-8 are written \xNN. */
  readonly path: string;
  readonly bytes: number;
  /** RFC 3339, by the node's clock. */
  readonly modifiedAt?: string;
  /** Whether it ends as a finished archive does, and does not change. */
  readonly complete: boolean;
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
}

/** A node whose archives are not known, and why. */
export interface UnreachableNode {
  readonly node: string;
  readonly reason: string;
  readonly message: string;
  readonly why?: string;
  readonly fix?: string;
}

export interface ArchiveList {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "ArchiveList";
  readonly items: readonly ArchiveItem[];
  readonly unreachable: readonly UnreachableNode[];
}

/** What became of one archive that was to be removed. */
export interface RemovalItem {
  readonly node: string;
  readonly path: string;
  /** Absent where it was not found. */
  readonly bytes?: number;
  readonly removed: boolean;
  readonly error?: ItemError;
}

export interface RemovalList {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "RemovalList";
  readonly items: readonly RemovalItem[];
}
