import type { Archive, Member } from "../../archive/archive.ts";
import { rootfsChange, type RootfsChange } from "../../archive/rootfs.ts";
import type { Tell } from "../../criu/problems.ts";
import { UserError } from "../../model/error.ts";
import type { Source } from "../../model/source.ts";
import type { Changes, RootfsItem } from "../../model/difference.ts";
import { changesOf } from "./changes.ts";
import { octal } from "../inspect/process.ts";

const CHUNK = 1 << 20;

/** How the changes of two root file systems differ. Throws a UserError where one cannot be read. */
export async function compareRootfs(from: Archive, to: Archive, signal: AbortSignal, tell: Tell): Promise<Changes<RootfsItem>> {
  await using before = await rootfsChange(from, signal);
  await using after = await rootfsChange(to, signal);
  for (const problem of [...before.problems, ...after.problems]) {
    tell(new UserError({ reason: "ArchiveDamaged", message: `the change of the root file system: ${problem}` }));
  }
  const { added, removed, changed } = changesOf(items(before), items(after), () => false);
  const differing = [];
  for (const pair of changed) if (!(await same(pair, before, after))) differing.push(pair);
  return { added, removed, changed: differing };
}

function items({ members, deleted, opaque }: RootfsChange): Map<string, RootfsItem> {
  const all = new Map<string, RootfsItem>();
  for (const path of deleted) all.set(path, { path, type: "deleted", bytes: 0, mode: "" });
  // What the image had in such a directory is gone.
  for (const path of opaque) all.set(`${path}/*`, { path: `${path}/*`, type: "deleted", bytes: 0, mode: "" });
  for (const [path, member] of members) all.set(path, item(path, member));
  return all;
}

function item(path: string, { type, size, mode, target }: Member): RootfsItem {
  return { path, type, bytes: type === "file" ? size : 0, mode: octal(mode), ...(target === "" ? {} : { target }) };
}

/** The same kind, rights and bytes: when it was written does not count. */
async function same({ from, to }: { from: RootfsItem; to: RootfsItem }, before: RootfsChange, after: RootfsChange): Promise<boolean> {
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
