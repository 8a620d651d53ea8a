import type { IndexedArchive, Member } from "../../../archive/archive.ts";
import { hasRootfsChange, rootfsChange, type RootfsChange } from "../../../archive/rootfs.ts";
import type { Tell } from "../../../criu/problems.ts";
import { UserError } from "../../../model/error.ts";
import type { Source } from "../../../model/source.ts";
import type { Changes, RootfsItem } from "../../../model/difference.ts";
import { octal } from "../../../criu/numbers.ts";

const CHUNK = 1 << 20;

/** One side of the comparison. */
export interface RootfsSide {
  readonly path: string;
  readonly archive: IndexedArchive;
  /** As inspections name it; undefined where it is not known. */
  readonly engine: string | undefined;
}

/** How the changes of two root file systems differ. Throws a UserError where one is not there, cannot be read, or too much differs. */
export async function compareRootfs(from: RootfsSide, to: RootfsSide, signal: AbortSignal, tell: Tell): Promise<Changes<RootfsItem>> {
  for (const side of [from, to]) mustHold(side);
  await using before = await rootfsChange(from.archive, signal);
  await using after = await rootfsChange(to.archive, signal);
  for (const problem of [...before.problems, ...after.problems]) {
    tell(new UserError({ reason: "ArchiveDamaged", message: `the change of the root file system: ${problem}` }));
  }
  if (!before.complete) throw notCompared(`rootfs-diff.tar in ${from.path} is cut short`);
  if (!after.complete) throw notCompared(`rootfs-diff.tar in ${to.path} is cut short`);
  const [added, removed, changed]: [RootfsItem[], RootfsItem[], { from: RootfsItem; to: RootfsItem }[]] = [[], [], []];
  for (const path of paths(before)) {
    const [a, b] = [itemAt(before, path), itemAt(after, path)];
    if (a === undefined || (b !== undefined && (await same(a, b, before, after)))) continue;
    to.archive.budget.keep("rootfs-diff.tar", 3, path.length);
    if (b === undefined) removed.push(a);
    else changed.push({ from: a, to: b });
  }
  for (const path of paths(after)) {
    const item = itemAt(before, path) === undefined ? itemAt(after, path) : undefined;
    if (item === undefined) continue;
    to.archive.budget.keep("rootfs-diff.tar", 3, path.length);
    added.push(item);
  }
  return { added, removed, changed };
}

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

function itemAt({ members, deleted, opaque }: RootfsChange, path: string): RootfsItem | undefined {
  const member = members.get(path);
  if (member !== undefined) return item(path, member);
  const isDeleted = deleted.has(path) || (path.endsWith(EVERYTHING) && opaque.has(path.slice(0, -EVERYTHING.length)));
  return isDeleted ? { path, type: "deleted", bytes: 0, mode: "" } : undefined;
}

function item(path: string, { type, size, mode, target }: Member): RootfsItem {
  return { path, type, bytes: type === "file" ? size : 0, mode: octal(mode), ...(target === "" ? {} : { target }) };
}

/** The same kind, rights and bytes: when it was written does not count. */
async function same(from: RootfsItem, to: RootfsItem, before: RootfsChange, after: RootfsChange): Promise<boolean> {
  if (from.type !== to.type || from.bytes !== to.bytes || from.mode !== to.mode || from.target !== to.target) return false;
  return from.type !== "file" || (await equalBytes(before.open(from.path), after.open(to.path)));
}

async function equalBytes(a: Source, b: Source): Promise<boolean> {
  for (let at = 0; at < a.size; at += CHUNK) {
    const length = Math.min(CHUNK, a.size - at);
    if (!(await a.read(at, length)).equals(await b.read(at, length))) return false;
  }
  return true;
}
