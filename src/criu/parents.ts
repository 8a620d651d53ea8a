import { posix } from "node:path";
import type { Archive } from "../archive/archive.ts";
import { renamed } from "../archive/containers/view.ts";
import { imageName } from "./image.ts";

/** An archive as if its images lay in checkpoint/, wherever they really are. */
interface Moved extends Archive {
  readonly original?: Archive;
  /** Where they are: "pre-checkpoint/". */
  readonly imagesAt?: string;
  /** How many checkpoints it is behind the last one. */
  readonly generation?: number;
}

const IMAGES = imageName("");
/** CRIU's name for the link to the directory of the checkpoint before. */
const PARENT = imageName("parent");
/** Podman's for the images of `checkpoint --pre-checkpoint`. */
const PRE_CHECKPOINT = "pre-checkpoint/";

/** No real chain is longer: it would take a link that leads back to itself. */
const MAX_GENERATIONS = 100;

const known = new WeakMap<Archive, { readonly parent: Archive | undefined }>();

/**
 * The images of the checkpoint that this one builds on: in the directory that its link names, of this archive or of the one before it.
 * Undefined where they are in neither.
 */
export function parentImages(archive: Archive): Archive | undefined {
  let found = known.get(archive);
  if (found === undefined) known.set(archive, (found = { parent: findParent(archive) }));
  return found.parent;
}

function findParent(archive: Moved): Moved | undefined {
  const { members, previous, original = archive, imagesAt = IMAGES, generation = 0 } = archive;
  if (generation >= MAX_GENERATIONS) return undefined;
  const target = members.get(PARENT)?.target;
  const directory = target === undefined ? undefined : `${posix.join(imagesAt, target)}/`;
  const here = directory === undefined || directory === imagesAt ? undefined : imagesIn(original, directory);
  const named = target === undefined || previous === undefined ? undefined : imagesIn(previous, `${posix.basename(target)}/`);
  const parent = here ?? named ?? (previous && lastImages(previous));
  return parent && { ...parent, generation: generation + 1 };
}

/** The archive as if the images of its last checkpoint lay in checkpoint/; undefined where it has none. */
export function lastImages(archive: Archive): Archive | undefined {
  return imagesIn(archive, IMAGES) ?? imagesIn(archive, PRE_CHECKPOINT);
}

function imagesIn(original: Archive, directory: string): Moved | undefined {
  const isImage = (name: string): boolean => name.startsWith(directory) && /^[^/]+\.img$/.test(name.slice(directory.length));
  if (![...original.members.keys()].some(isImage)) return undefined;
  if (directory === IMAGES) return original;
  const rename = (name: string): string | undefined => {
    if (name.startsWith(directory)) return IMAGES + name.slice(directory.length);
    return name.startsWith(IMAGES) ? undefined : name;
  };
  return { ...renamed(original, rename), original, imagesAt: directory };
}
