import { batches } from "../../../helper/batches.ts";
import type { NodeDirectory, Removal } from "../../../helper/directory.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { namesMeant } from "../../../model/name.ts";
import { command, say } from "../../../model/phrase.ts";
import { counted, formatAge } from "../../../model/units.ts";
import type { FlowContext } from "../../context.ts";
import { ageOf, placeOf, type ListedArchive } from "./archive.ts";
import { onNodes, type Unreachable } from "./each.ts";
import { listArchives } from "./list.ts";

/** So long an archive without an end may still be being written, for all that can be told. */
export const UNFINISHED_MS = 3_600_000;

/** What was named, and what that is on its node: a file, or why there is none to be removed. */
export interface Found {
  readonly named: NodeArchive;
  readonly archive?: ListedArchive;
  readonly error?: UserError;
}

/** Looks the archives up on their nodes, each by its exact name. */
export async function findNamed(
  context: FlowContext,
  helpers: Helpers,
  named: readonly NodeArchive[],
  access: "read" | "write",
): Promise<Found[]> {
  const found = new Map<NodeArchive, Found>();
  const nodes = [...new Set(named.map(({ node }) => node))];
  const unreachable = await onNodes(context, helpers, nodes, access, async (directory) => {
    const archives = await listArchives(context, directory, undefined);
    for (const one of named.filter(({ node }) => node === directory.node))
      found.set(one, { named: one, ...(await lookUp(context, directory, archives, one)) });
  });
  return named.map((one) => {
    const error = unreachable.find(({ node }) => node === one.node)?.error;
    return found.get(one) ?? { named: one, ...(error === undefined ? {} : { error }) };
  });
}

async function lookUp(
  { now }: FlowContext,
  directory: NodeDirectory,
  archives: readonly ListedArchive[],
  named: NodeArchive,
): Promise<Omit<Found, "named">> {
  const archive = match(archives, directory.nameOf(named.path));
  if (archive === undefined) return { error: notFound(named) };
  const written = maybeWritten(archive, now()) && (await beginsLikeAnArchive(directory, archive));
  return written ? { archive, error: unfinished(archive, now()) } : { archive };
}

function match(archives: readonly ListedArchive[], given: string): ListedArchive | undefined {
  const found = namesMeant(given).map((name) => archives.find(({ file }) => file.name === name));
  return found.find((archive) => archive !== undefined);
}

/** Whether somebody may still be writing it. */
export function maybeWritten(archive: ListedArchive, now: number): boolean {
  return !archive.complete && (ageOf(archive, now) ?? 0) < UNFINISHED_MS;
}

/** What does not begin with a header of tar, nobody is writing an archive to. */
async function beginsLikeAnArchive(directory: NodeDirectory, { file }: ListedArchive): Promise<boolean> {
  if (file.bytes < 512) return file.bytes === 0;
  const header = await directory.read(file, 0, 512);
  return header.toString("latin1", 257, 262) === "ustar";
}

/** Removes archives on their nodes; one that is not any more what it was when it was listed stays. What became of each that was asked for. */
export async function removeArchives(
  context: FlowContext,
  helpers: Helpers,
  archives: readonly ListedArchive[],
): Promise<{ ends: Map<ListedArchive, Removal>; unreachable: Unreachable[] }> {
  const ends = new Map<ListedArchive, Removal>();
  const byNode = Map.groupBy(archives, ({ node }) => node);
  const unreachable = await onNodes(context, helpers, [...byNode.keys()], "write", async (directory) => {
    const { node } = directory;
    const own = byNode.get(node) ?? [];
    const lane = `remove ${node}`;
    try {
      const archiveOf = new Map(own.map((archive) => [archive.file, archive]));
      for (const batch of batches([...archiveOf.keys()])) {
        context.emit({ kind: "activity", lane, text: say`removing ${counted(own.length, "archive")} from ${node}` });
        const became = await directory.removeEach(batch);
        for (const [index, file] of batch.entries()) {
          const archive = archiveOf.get(file);
          if (archive !== undefined) ends.set(archive, became[index] ?? "kept");
        }
      }
    } finally {
      context.emit({ kind: "idle", lane });
    }
  });
  return { ends, unreachable };
}

/** Why one is still there; undefined where it is gone. */
export function removalError(archive: ListedArchive, end: Removal | undefined, unreachable: readonly Unreachable[]): UserError | undefined {
  const place = placeOf(archive);
  switch (end) {
    case "gone":
      return undefined;
    case "none":
      return notFound({ kind: "node", node: archive.node, path: archive.path });
    case "changed":
      return new UserError({
        reason: "ArchiveChanged",
        message: say`${place} has changed since it was listed; it was not removed`,
        fix: "rerun the command",
      });
    case "kept":
      return new UserError({ reason: "RemovalFailed", message: say`cannot remove ${place}` });
    default:
      return (
        unreachable.find(({ node }) => node === archive.node)?.error ??
        new UserError({ reason: "RemovalFailed", message: say`${place} was not removed: the command was interrupted` })
      );
  }
}

function notFound(archive: NodeArchive): UserError {
  return new UserError({
    reason: "ArchiveNotFound",
    message: say`${location(archive)} not found`,
    fix: command`kubectl checkpoint ls --node ${archive.node} -A`,
  });
}

function unfinished(archive: ListedArchive, now: number): UserError {
  const age = ageOf(archive, now);
  return new UserError({
    reason: "ArchiveUnfinished",
    message: say`${placeOf(archive)} is incomplete: its checkpoint might still be running`,
    why: `it does not end as an archive does${age === undefined ? "" : `, and it last changed ${formatAge(age)} ago`}`,
    fix: "rerun the command an hour after its last change",
  });
}
