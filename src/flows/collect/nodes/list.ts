import { setTimeout as sleep } from "node:timers/promises";
import type { NodeDirectory } from "../../../helper/directory.ts";
import type { NodeFile } from "../../../helper/listing.ts";
import { say } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";
import type { ListedArchive } from "./archive.ts";
import { identify, type Scope } from "./identify.ts";

/** A file that was changed longer ago than this, by its node's clock, is not being written. */
const SETTLED_SECONDS = 2;
const SECOND_LOOK_MS = 1100;

/**
 * The archives on a node, and which container each is of, as far as that matters for the scope; without one it does not matter.
 * Throws where the node cannot be asked.
 */
export async function listArchives(
  { emit, signal }: FlowContext,
  directory: NodeDirectory,
  scope: Scope | undefined,
): Promise<ListedArchive[]> {
  const { node } = directory;
  const lane = `list ${node}`;
  emit({ kind: "activity", lane, text: say`listing archives on ${node}` });
  try {
    const first = await directory.list();
    const unsettled = first.filter(({ closed, age = 0 }) => closed && age <= SETTLED_SECONDS);
    const [identities, changed] = await Promise.all([
      scope === undefined ? undefined : identify(directory, first, scope, signal),
      unsettled.length === 0 ? new Set<string>() : changedSince(unsettled, async () => await directory.list(), signal),
    ]);
    return first.map((file) => ({
      node,
      path: directory.archive(file.name).path,
      file,
      complete: file.closed && !changed.has(file.raw.toString("latin1")),
      ...identities?.get(file),
    }));
  } finally {
    emit({ kind: "idle", lane });
  }
}

/** Names of those that are not the same any more a second later: they are still being written. */
async function changedSince(files: readonly NodeFile[], look: () => Promise<NodeFile[]>, signal: AbortSignal): Promise<Set<string>> {
  await sleep(SECOND_LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  const later = new Map((await look()).map(({ raw, identity }) => [raw.toString("latin1"), identity]));
  const names = files.filter(({ raw, identity }) => later.get(raw.toString("latin1")) !== identity);
  return new Set(names.map(({ raw }) => raw.toString("latin1")));
}
