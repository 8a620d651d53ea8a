import { archiveItem, placeOf, totalBytes, type ListedArchive } from "../../flows/collect/nodes/archive.ts";
import { agreeTo } from "../../flows/consent.ts";
import type { Unreachable } from "../../flows/collect/nodes/each.ts";
import { removalError, removeArchives } from "../../flows/collect/nodes/remove.ts";
import type { FlowContext } from "../../flows/context.ts";
import type { Helpers } from "../../helper/helpers.ts";
import type { RemovalItem, RemovalList } from "../../model/archives.ts";
import { API_VERSION, itemError } from "../../model/documents.ts";
import type { UserError } from "../../model/error.ts";
import { joined, say, type Phrase } from "../../model/phrase.ts";
import type { Piece } from "../../model/report.ts";
import { counted, formatBytes } from "../../model/units.ts";

/** Archives that a question lists. */
const LISTED = 20;

/** How it ended for each. */
export interface Removed {
  readonly items: readonly RemovalItem[];
  readonly errors: readonly UserError[];
}

/** Shows what would go. */
export async function* wouldRemove(archives: readonly ListedArchive[]): AsyncGenerator<Piece, Removed> {
  for (const archive of archives) yield { text: say`${line(archive)} would be removed`, name: placeOf(archive) };
  yield { text: say`${counted(archives.length, "archive")}, ${formatBytes(totalBytes(archives))}: nothing was removed (dry run)` };
  return { items: archives.map((archive) => removalItem(archive, false)), errors: [] };
}

/** Confirms, removes, and reports what was freed. Throws if it is not confirmed. */
export async function* removeAgreed(
  context: FlowContext,
  helpers: Helpers,
  archives: readonly ListedArchive[],
  yes: boolean,
): AsyncGenerator<Piece, Removed> {
  if (archives.length > 0 && !yes) await agreeToRemoval(context, archives);
  const { ends, unreachable } = await removeArchives(context, helpers, archives);
  const items: RemovalItem[] = [];
  const errors: UserError[] = [];
  const gone: ListedArchive[] = [];
  for (const archive of archives) {
    const error = removalError(archive, ends.get(archive), unreachable);
    items.push(removalItem(archive, error === undefined, error));
    if (error === undefined) {
      gone.push(archive);
      yield { text: say`${line(archive)} removed`, name: placeOf(archive) };
    } else {
      errors.push(error);
      yield { error };
    }
  }
  yield { text: freed(gone) };
  return { items, errors };
}

async function agreeToRemoval(context: FlowContext, archives: readonly ListedArchive[]): Promise<void> {
  const size = formatBytes(totalBytes(archives));
  const lines = archives.slice(0, LISTED).map((archive) => say`  ${line(archive)}`);
  const more = archives.length > LISTED ? [say`  and ${archives.length - LISTED} more`] : [];
  context.emit({ kind: "hint", text: joined([...lines, ...more], "\n") });
  const what = archives.length === 1 ? say`this archive` : say`these ${archives.length} archives`;
  const nodes = [...new Set(archives.map(({ node }) => node))];
  const where = nodes.length === 1 ? say`${nodes[0] ?? ""}` : say`${nodes.length} nodes`;
  await agreeTo(context, say`Remove ${what} (${size}) from ${where}? This cannot be undone.`, {
    message: say`this would remove ${counted(archives.length, "archive")} (${size}) from ${where}`,
  });
}

export function removalList(items: readonly RemovalItem[]): RemovalList {
  return { apiVersion: API_VERSION, kind: "RemovalList", items };
}

/** For nodes that could not be reached. */
export function errorsOf(unreachable: readonly Unreachable[]): UserError[] {
  return unreachable.map(({ error }) => error);
}

function removalItem(archive: ListedArchive, removed: boolean, error?: UserError): RemovalItem {
  const { node, path, bytes } = archiveItem(archive);
  return { node, path, bytes, removed, ...(error === undefined ? {} : { error: itemError("remove", error) }) };
}

function line(archive: ListedArchive): Phrase {
  return say`${placeOf(archive)} (${formatBytes(archive.file.bytes)})`;
}

function freed(archives: readonly ListedArchive[]): Phrase {
  const nodes = new Set(archives.map(({ node }) => node)).size;
  if (archives.length === 0) return say`nothing was removed`;
  return say`${counted(archives.length, "archive")} removed, ${formatBytes(totalBytes(archives))} freed on ${counted(nodes, "node")}`;
}
