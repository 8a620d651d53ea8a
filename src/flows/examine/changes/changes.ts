import { createHash } from "node:crypto";
import type { Archive, Member } from "../../../archive/archive.ts";
import { iso } from "../../../archive/engines/files.ts";
import { filesAt, rootfsChange, ROOTFS_CHANGE, type ContainerFiles, type RootfsChange } from "../../../archive/rootfs.ts";
import { mounted } from "../../../criu/mounted.ts";
import { octal } from "../../../criu/numbers.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import { UserError } from "../../../model/error.ts";
import type { ChangeItem } from "../../../model/inspection.ts";
import { say } from "../../../model/phrase.ts";
import type { Source } from "../../../model/source.ts";
import { contentOf, HEAD } from "./content.ts";

/** Files are read in pieces of so many bytes. */
const PIECE = 1 << 20;

export interface ChangesOptions {
  readonly signal: AbortSignal;
  /** Takes what could not be read. */
  readonly tell: Tell;
  /** Without hashes, only the first bytes of files are read. */
  readonly hashes: boolean;
}

/**
 * Every changed file, as it lies in the archive: of the root file system first, then of what is mounted there and in the archive. What
 * cannot be read goes to `tell`.
 */
export async function* changedFiles(archive: Archive, options: ChangesOptions): AsyncGenerator<ChangeItem> {
  const { signal, tell } = options;
  const change = await attempt(tell, async () => await rootfsChange(archive, signal));
  if (change !== undefined) {
    await using root = change;
    yield* deletedItems(root);
    yield* itemsOf(root, archive, options);
  }
  for (const { path, member, namespace } of await mounted(archive)) {
    if (member === undefined || namespace !== undefined) continue;
    const found = await attempt(tell, async () => await filesAt(archive, member, path || "/", signal));
    if (found === undefined) continue;
    await using files = found;
    yield* itemsOf(files, archive, options);
  }
}

function* deletedItems({ deleted, opaque, members }: RootfsChange): Generator<ChangeItem> {
  const gone = { change: "deleted", type: "unknown", member: ROOTFS_CHANGE } as const;
  for (const path of deleted) if (members.get(path) === undefined) yield { path, ...gone };
  for (const path of opaque) yield { path: `${path === "/" ? "" : path}/*`, ...gone };
}

async function* itemsOf(files: ContainerFiles, archive: Archive, options: ChangesOptions): AsyncGenerator<ChangeItem> {
  for (const problem of [...files.problems, ...(files.complete ? [] : ["it is cut short: changed files may be missing"])]) {
    options.tell(new UserError({ reason: "ArchiveDamaged", message: say`${files.member}: ${problem}` }));
  }
  for (const [path, member] of files.members) {
    options.signal.throwIfAborted();
    if (path !== "/") yield await changeItem(path, member, files, archive, options);
  }
}

/** How something in the archive differs from the image. */
export async function changeItem(
  path: string,
  { type, size, mode, uid, gid, modifiedAt, target, special }: Member,
  files: Pick<ContainerFiles, "member" | "open">,
  archive: Archive,
  { signal, tell, hashes }: ChangesOptions,
): Promise<ChangeItem> {
  const bytes = type === "file" ? size : 0;
  const read =
    type === "file"
      ? await attempt(tell, async () => await readFile(files.open(path), archive, hashes ? Number.POSITIVE_INFINITY : HEAD, signal))
      : undefined;
  const time = iso(modifiedAt * 1000);
  return {
    path,
    change: "added or changed",
    type,
    ...(special === undefined ? {} : { special }),
    ...(read === undefined ? {} : { content: read.content }),
    ...(type === "file" && (mode & 0o111) !== 0 ? { executable: true } : {}),
    ...(type === "file" && (mode & 0o4000) !== 0 ? { setuid: true } : {}),
    ...(type === "file" && (mode & 0o2000) !== 0 ? { setgid: true } : {}),
    mode: octal(mode),
    uid,
    gid,
    bytes,
    ...(time === undefined ? {} : { modifiedAt: time }),
    ...(read?.sha256 === undefined ? {} : { sha256: read.sha256 }),
    ...(target === "" || type === "file" ? {} : { target }),
    member: files.member,
  };
}

/** Throws a UserError where it cannot be read. */
async function readFile(source: Source, { budget }: Archive, most: number, signal: AbortSignal) {
  const hash = createHash("sha256");
  const room = Buffer.allocUnsafe(Math.min(PIECE, source.size));
  let head: Buffer = Buffer.alloc(0);
  for (let at = 0; at < Math.min(source.size, most);) {
    signal.throwIfAborted();
    const length = Math.min(PIECE, source.size - at, most);
    // Of holes nothing is read, but they have to be hashed.
    if ("extents" in source) budget.decode(length);
    const piece = await source.read(at, length, room);
    if (at === 0) head = Buffer.from(piece.subarray(0, HEAD));
    hash.update(piece);
    at += length;
  }
  return { content: contentOf(head), sha256: most < source.size ? undefined : hash.digest("hex") };
}
