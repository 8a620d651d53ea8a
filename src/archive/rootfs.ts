import { posix } from "node:path";
import { UserError } from "../model/error.ts";
import { list } from "../model/json.ts";
import type { Source } from "../model/source.ts";
import type { Archive, Member } from "./archive.ts";
import { openNested } from "./open.ts";
import { readJson } from "./read.ts";

/** Files of the container that are in its archive. Paths are absolute, as the container sees them. */
export interface ContainerFiles extends AsyncDisposable {
  /** Files and all else, by path; directories on the way to them too. */
  readonly members: ReadonlyMap<string, Member>;
  /** What is wrong with the archive that holds them: a sentence each. */
  readonly problems: readonly string[];
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

/** Reads what changed in the root file system; nothing where the archive holds no change. Throws a UserError where it cannot be read. */
export async function rootfsChange(archive: Archive, signal?: AbortSignal): Promise<RootfsChange> {
  const deleted = new Set(list(await readJson(archive, DELETED)).filter((path) => typeof path === "string"));
  const opaque = new Set<string>();
  const isThere = (archive.members.get(DIFF)?.size ?? 0) > 0;
  const files = isThere ? await filesAt(archive, DIFF, "/", signal) : NO_FILES;
  const members = new Map<string, Member>();
  for (const [path, member] of files.members) {
    const directory = posix.dirname(path);
    const name = posix.basename(path);
    if (name === OPAQUE) opaque.add(directory);
    else if (name.startsWith(WHITEOUT)) deleted.add(posix.join(directory, name.slice(WHITEOUT.length)));
    else members.set(path, member);
  }
  return { ...files, members, deleted, opaque };
}

const NO_FILES: ContainerFiles = {
  members: new Map(),
  problems: [],
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
    members: new Map([...nested.members].map(([path, member]) => [base + path, member])),
    problems: [...nested.problems, ...nested.hostile.map(({ name: bad, why }) => `the name ${bad} ${why}`)],
    open: (path) => nested.open(path.slice(base.length)),
    [Symbol.asyncDispose]: async () => await nested[Symbol.asyncDispose](),
  };
}
