import type { IndexedArchive, Member } from "../../../archive/archive.ts";
import { hasRootfsChange, ROOTFS_CHANGE, rootfsChange, type RootfsChange } from "../../../archive/rootfs.ts";
import { UserError } from "../../../model/error.ts";
import type { ChangeItem } from "../../../model/inspection.ts";
import type { Source } from "../../../model/source.ts";
import type { Changes } from "../../../model/difference.ts";
import { changeItem, type ChangesOptions } from "../changes/changes.ts";

const CHUNK = 1 << 20;

/** One side of the comparison. */
export interface RootfsSide {
  readonly path: string;
  readonly archive: IndexedArchive;
  /** As inspections name it; undefined where it is not known. */
  readonly engine: string | undefined;
}

/** How the changes of two root file systems differ. Throws a UserError where one is not there, cannot be read, or too much differs. */
export async function compareRootfs(from: RootfsSide, to: RootfsSide, options: RootfsOptions): Promise<Changes<ChangeItem>> {
  const { signal, tell } = options;
  for (const side of [from, to]) mustHold(side);
  await using before = await rootfsChange(from.archive, signal);
  await using after = await rootfsChange(to.archive, signal);
  for (const problem of [...before.problems, ...after.problems]) {
    tell(new UserError({ reason: "ArchiveDamaged", message: `the change of the root file system: ${problem}` }));
  }
  if (!before.complete) throw notCompared(`rootfs-diff.tar in ${from.path} is cut short`);
  if (!after.complete) throw notCompared(`rootfs-diff.tar in ${to.path} is cut short`);
  const item = async (side: RootfsSide, change: RootfsChange, path: string, entry: Entry): Promise<ChangeItem> => {
    to.archive.budget.keep(ROOTFS_CHANGE, 3, path.length);
    return entry === "deleted"
      ? { path, change: "deleted", type: "unknown", member: ROOTFS_CHANGE }
      : await changeItem(path, entry, change, side.archive, options);
  };
  const [added, removed, changed]: [ChangeItem[], ChangeItem[], { from: ChangeItem; to: ChangeItem }[]] = [[], [], []];
  for (const path of paths(before)) {
    const [a, b] = [entryAt(before, path), entryAt(after, path)];
    if (a === undefined || (b !== undefined && (await same(path, a, b, before, after)))) continue;
    const old = await item(from, before, path, a);
    if (b === undefined) removed.push(old);
    else changed.push({ from: old, to: await item(to, after, path, b) });
  }
  for (const path of paths(after)) {
    const entry = entryAt(before, path) === undefined ? entryAt(after, path) : undefined;
    if (entry !== undefined) added.push(await item(to, after, path, entry));
  }
  return { added, removed, changed };
}

/** With or without hashes. */
export type RootfsOptions = Pick<ChangesOptions, "signal" | "tell" | "hashes">;

/** Engines that write no rootfs-diff.tar where nothing has changed. */
const MAY_LEAVE_IT_OUT = new Set(["podman", "cri-o"]);

function mustHold({ path, archive, engine = "" }: RootfsSide): void {
  if (!archive.complete) throw notCompared(`${path} is cut short`);
  if (!hasRootfsChange(archive) && !MAY_LEAVE_IT_OUT.has(engine)) throw notCompared(`${path} has no rootfs-diff.tar`);
}

function notCompared(why: string): UserError {
  return new UserError({ reason: "NotInArchive", message: `the root file system was not compared: ${why}` });
}

/** All that a change tells of, each once. */
function* paths(change: RootfsChange): Generator<string> {
  const { members, deleted, opaque } = change;
  for (const path of deleted) if (members.get(path) === undefined) yield path;
  for (const path of opaque) {
    const all = path + EVERYTHING;
    if (members.get(all) === undefined && !deleted.has(all)) yield all;
  }
  for (const [path] of members) yield path;
}

/** What the image had in an opaque directory is gone. */
const EVERYTHING = "/*";

/** What a change has at a path; "deleted": the image has it, the container no more. */
type Entry = Member | "deleted";

function entryAt({ members, deleted, opaque }: RootfsChange, path: string): Entry | undefined {
  const member = members.get(path);
  if (member !== undefined) return member;
  const isDeleted = deleted.has(path) || (path.endsWith(EVERYTHING) && opaque.has(path.slice(0, -EVERYTHING.length)));
  return isDeleted ? "deleted" : undefined;
}

/** The same kind, owner, rights and bytes: when it was written does not count. */
async function same(path: string, from: Entry, to: Entry, before: RootfsChange, after: RootfsChange): Promise<boolean> {
  if (from === "deleted" || to === "deleted") return from === to;
  if (from.type !== to.type || from.uid !== to.uid || from.gid !== to.gid || from.mode !== to.mode || from.target !== to.target)
    return false;
  return from.type !== "file" || (from.size === to.size && (await equalBytes(before.open(path), after.open(path))));
}

async function equalBytes(a: Source, b: Source): Promise<boolean> {
  for (let at = 0; at < a.size; at += CHUNK) {
    const length = Math.min(CHUNK, a.size - at);
    if (!(await a.read(at, length)).equals(await b.read(at, length))) return false;
  }
  return true;
}
