import { posix } from "node:path";
import { UserError } from "../model/error.ts";
import { list } from "../model/json.ts";
import type { Source } from "../model/source.ts";
import type { Archive, Member } from "./archive.ts";
import { openNested } from "./open.ts";
import { readJson } from "./read.ts";

/** Members by their path in the container: of an index that may be large, looked at and not copied. */
export interface Members extends Iterable<readonly [path: string, member: Member]> {
  get(path: string): Member | undefined;
}

/** Files of the container that are in its archive. Paths are absolute, as the container sees them. */
export interface ContainerFiles extends AsyncDisposable {
  /** Files and all else, by path; directories on the way to them too. */
  readonly members: Members;
  /** What is wrong with the archive that holds them: a sentence each. */
  readonly problems: readonly string[];
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

const DIFF = "rootfs-diff.tar";
/** CRI-O and Podman: a JSON array of paths. containerd: whiteouts, as in a layer of an image. */
const DELETED = "deleted.files";
/** https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts */
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** Whether the archive holds a change of the root file system, however little changed. */
export function hasRootfsChange({ members }: Archive): boolean {
  return (members.get(DIFF)?.size ?? 0) > 0;
}

/** Reads what changed in the root file system; nothing where the archive holds no change. Throws a UserError where it cannot be read. */
export async function rootfsChange(archive: Archive, signal?: AbortSignal): Promise<RootfsChange> {
  const deleted = new Set(list(await readJson(archive, DELETED)).filter((path) => typeof path === "string"));
  const opaque = new Set<string>();
  const files = hasRootfsChange(archive) ? await filesAt(archive, DIFF, "/", signal) : NO_FILES;
  for (const [path] of files.members) {
    if (!isWhiteout(path)) continue;
    const directory = posix.dirname(path);
    const name = posix.basename(path);
    if (name === OPAQUE) opaque.add(directory);
    else deleted.add(posix.join(directory, name.slice(WHITEOUT.length)));
  }
  return { ...files, members: withoutWhiteouts(files.members), deleted, opaque };
}

function isWhiteout(path: string): boolean {
  return posix.basename(path).startsWith(WHITEOUT);
}

function withoutWhiteouts(members: Members): Members {
  return {
    get: (path) => (isWhiteout(path) ? undefined : members.get(path)),
    *[Symbol.iterator]() {
      for (const entry of members) if (!isWhiteout(entry[0])) yield entry;
    },
  };
}

const NO_FILES: ContainerFiles = {
  members: new Map(),
  problems: [],
  complete: true,
  open(path) {
    throw new UserError({ reason: "NoSuchMember", message: `${path} is not in the archive: it holds no change of the root file system` });
  },
  async [Symbol.asyncDispose]() {},
};

/** The files in a member that is an archive itself, of what was mounted at `mount`. Throws a UserError where it cannot be read. */
export async function filesAt(archive: Archive, name: string, mount: string, signal?: AbortSignal): Promise<ContainerFiles> {
  const nested = await openNested(archive, name, signal === undefined ? {} : { signal });
  const base = mount.endsWith("/") ? mount : `${mount}/`;
  return {
    members: {
      get: (path) => (path.startsWith(base) ? nested.members.get(path.slice(base.length)) : undefined),
      *[Symbol.iterator]() {
        for (const [path, member] of nested.members) yield [base + path, member];
      },
    },
    problems: [...nested.problems, ...nested.hostile.map(({ name: bad, why }) => `the name ${bad} ${why}`)],
    complete: nested.complete,
    open: (path) => nested.open(path.slice(base.length)),
    [Symbol.asyncDispose]: async () => await nested[Symbol.asyncDispose](),
  };
}
