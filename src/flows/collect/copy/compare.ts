import type { NodeDirectory } from "../../../helper/directory.ts";
import type { NodeFile } from "../../../helper/listing.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { say } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";

/** What the node says of an archive. */
export interface NodeHash {
  readonly sha256: string;
  /** Of the file, after it was hashed. */
  readonly identity: string;
  readonly computedAt: string;
}

export async function nodeHash({ now }: FlowContext, source: NodeDirectory, name: string): Promise<NodeHash> {
  return { ...(await source.sha256(name)), computedAt: new Date(now()).toISOString() };
}

/** Throws ArchiveChanged and HashMismatch where a copy is not what the node has. */
export async function ensureSame(
  source: NodeDirectory,
  file: NodeFile,
  hashes: { there: NodeHash; here: string },
  archive: NodeArchive,
): Promise<void> {
  const { there, here } = hashes;
  const isSame = there.sha256 === here;
  // Of bytes that differ, whether it has changed since it was hashed there.
  const after = isSame ? there.identity : (await source.stat(file.name)).identity;
  if (after !== file.identity) {
    throw new UserError({
      reason: "ArchiveChanged",
      message: say`${location(archive)} changed while it was copied`,
      fix: "rerun the command to copy it from the beginning",
    });
  }
  if (isSame) return;
  throw new UserError({
    reason: "HashMismatch",
    message: say`the copy of ${location(archive)} differs from the archive on the node`,
    why: say`SHA-256 on the node is ${there.sha256}, on this machine ${here}`,
    fix: "rerun the command to copy it from the beginning",
  });
}
