import { posix } from "node:path";
import { list } from "../model/json.ts";
import type { Source } from "../model/source.ts";
import type { Archive, Member } from "./archive.ts";
import { openNested } from "./open.ts";
import { readJson } from "./read.ts";

/** How the container's root file system differs from its image. Paths are absolute, as the container sees them. */
export interface RootfsChange extends AsyncDisposable {
  /** What was added or written to, files and all else, by path; directories on the way to them too. */
  readonly changed: ReadonlyMap<string, Member>;
  /** What the image has and the container has removed. */
  readonly deleted: ReadonlySet<string>;
  /** Directories that were emptied and filled anew: what the image has in them and is not in `changed` is gone too. */
  readonly opaque: ReadonlySet<string>;
  /** What is wrong with the archive of changes: a sentence each. */
  readonly problems: readonly string[];
  /** The bytes of a changed file. Throws a UserError where there is no such file. */
  open(path: string): Source;
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
  const changed = new Map<string, Member>();
  const opaque = new Set<string>();
  if (!archive.members.has(DIFF)) {
    const none = (path: string): Source => archive.open(`${DIFF}${path}`);
    return { changed, deleted, opaque, problems: [], open: none, [Symbol.asyncDispose]: async () => {} };
  }
  const diff = await openNested(archive, DIFF, signal === undefined ? {} : { signal });
  for (const member of diff.members.values()) {
    const path = `/${member.name}`;
    const directory = posix.dirname(path);
    const name = posix.basename(path);
    if (name === OPAQUE) opaque.add(directory);
    else if (name.startsWith(WHITEOUT)) deleted.add(posix.join(directory, name.slice(WHITEOUT.length)));
    else changed.set(path, member);
  }
  return {
    changed,
    deleted,
    opaque,
    problems: [...diff.problems, ...diff.hostile.map(({ name, why }) => `the name ${name} ${why}`)],
    open: (path) => diff.open(path.slice(1)),
    [Symbol.asyncDispose]: async () => await diff[Symbol.asyncDispose](),
  };
}
