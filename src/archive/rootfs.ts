import { posix } from "node:path";
import { UserError } from "../model/error.ts";
import { list } from "../model/json.ts";
import { nameText } from "../model/name.ts";
import type { Source } from "../model/source.ts";
import type { Archive, HostileMember, Member, OpenArchive } from "./archive.ts";
import { knownEngine } from "./engines/engine.ts";
import { openNested } from "./bytes.ts";
import { readJson } from "./read.ts";

/** Members by their path in the container: of an index that may be large, looked at and not copied. */
export interface Members extends Iterable<readonly [path: string, member: Member]> {
  get(path: string): Member | undefined;
}

/** Files of the container that are in its archive. Paths are absolute, as the container sees them. */
export interface ContainerFiles extends AsyncDisposable {
  /** The member that has them. */
  readonly member: string;
  /** Files and all else, by path; directories on the way to them too. */
  readonly members: Members;
  /** What is wrong with the archive that holds them: a sentence each. */
  readonly problems: readonly string[];
  /** Names in it that no file can have; `problems` has them too. */
  readonly leftOut: readonly HostileMember[];
  /** False where that archive is cut short: files may be missing. */
  readonly complete: boolean;
  /** The bytes of a file. Throws a UserError where there is no such file, or it is none. */
  open(path: string): Source;
}

/** How the container's root file system differs from its image: `members` were added or written to. */
export interface RootfsChange extends ContainerFiles {
  /** What the image has and the container has removed. */
  readonly deleted: ReadonlySet<string>;
  /** Directories that were emptied and filled anew: what the image has in them and is not in `members` is gone too. */
  readonly opaque: ReadonlySet<string>;
}

/** The member that holds the files of a change. */
export const ROOTFS_CHANGE = "rootfs-diff.tar";
/** CRI-O and Podman: a JSON array of paths. containerd: whiteouts, as in a layer of an image. */
const DELETED = "deleted.files";
/** https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts: empty files. */
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** Whether the archive holds a change of the root file system, however little changed. */
export function hasRootfsChange({ members }: Archive): boolean {
  return (members.get(ROOTFS_CHANGE)?.size ?? 0) > 0;
}

/** Reads what changed in the root file system; nothing where the archive holds no change. Throws a UserError where it cannot be read. */
export async function rootfsChange(archive: Archive, signal?: AbortSignal): Promise<RootfsChange> {
  const list = await deletedFiles(archive);
  const nested = hasRootfsChange(archive) ? await openNested(archive, ROOTFS_CHANGE, signal === undefined ? {} : { signal }) : undefined;
  const files = nested === undefined ? NO_FILES : filesIn(nested, ROOTFS_CHANGE, "/");
  const change = { ...files, problems: [...list.problems, ...files.problems] };
  if (nested === undefined || !(await hasWhiteouts(archive, nested))) return { ...change, deleted: list.paths, opaque: new Set() };
  const opaque = new Set<string>();
  for (const [path, member] of files.members) {
    const hidden = hiddenBy(path, member);
    if (hidden === undefined) continue;
    archive.budget.keep(ROOTFS_CHANGE, 1, path.length);
    if (hidden === OPAQUE) opaque.add(posix.dirname(path));
    else list.paths.add(hidden);
  }
  return { ...change, members: withoutWhiteouts(files.members), deleted: list.paths, opaque };
}

/** Only containerd's changes have them. Of an unknown engine, containerd's are those that are compressed. */
async function hasWhiteouts(archive: Archive, { compression }: OpenArchive): Promise<boolean> {
  const engine = await knownEngine(archive);
  return engine === "containerd" || (engine === undefined && compression !== "none");
}

/** Paths of files that are named as whiteouts are, and are none. */
export async function namesLikeWhiteouts(archive: Archive, nested: OpenArchive): Promise<string[]> {
  const whiteouts = await hasWhiteouts(archive, nested);
  return [...nested.members.values()].flatMap((member) => {
    const hides = whiteouts && hiddenBy(member.name, member) !== undefined;
    return posix.basename(member.name).startsWith(WHITEOUT) && !hides ? member.name : [];
  });
}

/** The path that a whiteout hides, or OPAQUE for all there is in its directory. Undefined where the member is a file like others. */
function hiddenBy(path: string, { type, size }: Member): string | undefined {
  const name = posix.basename(path);
  if (!name.startsWith(WHITEOUT) || type !== "file" || size !== 0) return undefined;
  if (name === OPAQUE) return OPAQUE;
  const hidden = name.slice(WHITEOUT.length);
  return /^(|\.|\.\.)$/.test(hidden) ? undefined : posix.join(posix.dirname(path), hidden);
}

function withoutWhiteouts(members: Members): Members {
  const shown = (path: string, member: Member | undefined): Member | undefined =>
    member === undefined || hiddenBy(path, member) !== undefined ? undefined : member;
  return {
    get: (path) => shown(path, members.get(path)),
    *[Symbol.iterator]() {
      for (const entry of members) if (hiddenBy(...entry) === undefined) yield entry;
    },
  };
}

/** What CRI-O and Podman write of deleted files. */
async function deletedFiles(archive: Archive): Promise<{ readonly paths: Set<string>; readonly problems: string[] }> {
  const written = await readJson(archive, DELETED);
  const paths = list(written).filter((path) => typeof path === "string");
  const sound = written === undefined || written === null || (Array.isArray(written) && paths.length === written.length);
  for (const path of paths) archive.budget.keep(DELETED, 1, path.length);
  return {
    paths: new Set(paths.map((path) => nameText(Buffer.from(path)))),
    problems: sound ? [] : [`${DELETED} is not a list of paths`],
  };
}

const NO_FILES: ContainerFiles = {
  member: ROOTFS_CHANGE,
  members: new Map(),
  problems: [],
  leftOut: [],
  complete: true,
  open(path) {
    throw new UserError({ reason: "NoSuchMember", message: `${path} is not in the archive: it holds no change of the root file system` });
  },
  async [Symbol.asyncDispose]() {},
};

/** The files in a member that is an archive itself, of what was mounted at `mount`. Throws a UserError where it cannot be read. */
export async function filesAt(archive: Archive, name: string, mount: string, signal?: AbortSignal): Promise<ContainerFiles> {
  return filesIn(await openNested(archive, name, signal === undefined ? {} : { signal }), name, mount);
}

function filesIn(nested: OpenArchive, member: string, mount: string): ContainerFiles {
  const base = mount.endsWith("/") ? mount : `${mount}/`;
  return {
    member,
    members: {
      get: (path) => (path.startsWith(base) ? nested.members.get(path.slice(base.length)) : undefined),
      *[Symbol.iterator]() {
        for (const [path, member] of nested.members) yield [base + path, member];
      },
    },
    problems: [...nested.problems, ...nested.hostile.map(({ name: bad, why }) => `the name ${bad} ${why}`)],
    leftOut: nested.hostile,
    complete: nested.complete,
    open: (path) => nested.open(path.slice(base.length)),
    [Symbol.asyncDispose]: async () => await nested[Symbol.asyncDispose](),
  };
}
