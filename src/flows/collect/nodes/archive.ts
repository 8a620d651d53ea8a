import { location, nodeArchive } from "../../../model/location.ts";
import type { ArchiveItem } from "../../../model/archives.ts";
import type { NodeFile } from "../../../helper/listing.ts";

/** Which container an archive is of, as far as that is certain. */
export interface Identity {
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
  /** Its name can be read in several ways, and all of them are out of the scope that was asked for. */
  readonly elsewhere?: true;
}

/** One file in a node's checkpoint directory. */
export interface ListedArchive extends Identity {
  readonly node: string;
  /** Absolute, on the node. */
  readonly path: string;
  readonly file: NodeFile;
  /** Whether it ends as a finished archive does, and does not change. */
  readonly complete: boolean;
}

/** Of NODE:PATH, as it is printed. */
export function placeOf({ node, path }: ListedArchive): string {
  return location(nodeArchive(node, path));
}

/** Milliseconds since it was last changed: by the node's own clock where it tells, else by ours; undefined where the node has no times. */
export function ageOf({ file: { age, modifiedAt } }: ListedArchive, now: number): number | undefined {
  if (age !== undefined) return age * 1000;
  return modifiedAt === undefined ? undefined : now - modifiedAt * 1000;
}

export function totalBytes(archives: readonly ListedArchive[]): number {
  return archives.reduce((total, { file }) => total + file.bytes, 0);
}

export function archiveItem({ node, path, file, complete, namespace, pod, container }: ListedArchive): ArchiveItem {
  return {
    node,
    path,
    bytes: file.bytes,
    ...(file.modifiedAt === undefined ? {} : { modifiedAt: new Date(file.modifiedAt * 1000).toISOString() }),
    complete,
    ...(namespace === undefined ? {} : { namespace }),
    ...(pod === undefined ? {} : { pod }),
    ...(container === undefined ? {} : { container }),
  };
}
