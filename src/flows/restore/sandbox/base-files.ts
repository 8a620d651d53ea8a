import type { Archive, Member } from "../../../archive/archive.ts";
import { Budget } from "../../../archive/budget.ts";
import { openPieces } from "../../../archive/bytes.ts";
import { buildIdOf } from "../../../elf/reader.ts";
import { parseReference } from "../../../image/reference.ts";
import { blobBytes } from "../../../image/registry/blobs.ts";
import { findManifest, type FoundManifest } from "../../../image/registry/manifests.ts";
import type { Registry } from "../../../image/registry/client.ts";
import type { Context } from "../../../model/context.ts";
import { UserError } from "../../../model/error.ts";
import { joined, say, type Phrase } from "../../../model/phrase.ts";
import { formatBytes } from "../../../model/units.ts";
import { baseFiles, type BaseFile } from "../../../sandbox/mapped.ts";
import { rootMount } from "../../../sandbox/mounts.ts";
import { registryFor, type RegistrySettings } from "../image/registries.ts";
import type { Base } from "./base.ts";

/** Of all layers, in bytes: more is not fetched to be looked at. */
const LARGEST_IMAGE = 256 << 20;
const SHOWN = 5;

/**
 * Compares the files of a base image that is not known to be the container's with what the processes had mapped, before anything is created.
 * Throws a UserError BaseImageDiffers, with the files. Answers with why it was not compared.
 */
export async function compareBase(
  context: Context,
  settings: RegistrySettings,
  { reference, certain }: Base,
  of: { readonly archive: Archive; readonly architecture: string },
): Promise<Phrase | undefined> {
  if (certain) return undefined;
  const wanted = await baseFiles(of.archive, await rootMount(of.archive), context.signal);
  if (wanted.size === 0) return undefined;
  let different: Phrase[];
  try {
    await using registry = await registryFor(context, settings, parseReference(reference), "pull");
    const image = await imageFor(registry, of.architecture);
    const bytes = image.layers.reduce((sum, layer) => sum + layer.bytes, 0);
    if (bytes > LARGEST_IMAGE) return notCompared(reference, say`it has ${formatBytes(bytes)}`);
    different = await differences(context, registry, image, wanted);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return notCompared(reference, error.said.message);
  }
  if (different.length === 0) return undefined;
  const more = different.length > SHOWN ? say`; and ${different.length - SHOWN} more` : say``;
  throw new UserError({
    reason: "BaseImageDiffers",
    message: say`the base image ${reference} is not the one that the container was made from; nothing was created`,
    why: say`${joined(different.slice(0, SHOWN), "; ")}${more}`,
    fix: say`give the image by its digest: --base-image=REFERENCE@sha256:…`,
  });
}

function notCompared(reference: string, why: Phrase): Phrase {
  return say`the base image ${reference} was not compared with the files that the processes used (${why}): CRIU does so before it restores them`;
}

async function imageFor(registry: Registry, architecture: string): Promise<FoundManifest> {
  const found = await findManifest(registry);
  const one = found?.manifests.find((manifest) => manifest.architecture === architecture);
  const image = one === undefined ? found : await findManifest(registry, one.digest);
  if (image !== undefined && image.layers.length > 0) return image;
  throw new UserError({ reason: "ImageNotFound", message: say`its registry does not have it for ${architecture}` });
}

/** What differs, a sentence each. Of links nothing is said: what they lead to is somewhere else. */
async function differences(
  { signal }: Context,
  registry: Registry,
  image: FoundManifest,
  wanted: ReadonlyMap<string, BaseFile>,
): Promise<Phrase[]> {
  const paths = new Map([...wanted.values()].map((file) => [file.path.slice(1), file]));
  const keep = ({ name, type, size }: Member): boolean => type === "file" && paths.get(name)?.size === size;
  /** Of the files that are there; undefined: the same. */
  const found = new Map<string, Phrase | undefined>();
  const links = new Set<string>();
  for (const layer of image.layers) {
    const options = { signal, keep, budget: Budget.withoutClock() };
    await using files = await openPieces(blobBytes(registry, layer, signal), `the layer ${layer.digest}`, layer.bytes, options);
    for (const { name, type } of files.members.values()) if (type === "symlink") links.add(name);
    for (const [path, file] of paths) {
      const member = files.members.get(path);
      if (member !== undefined) found.set(path, member.type === "file" ? await difference(files, member, file) : undefined);
    }
  }
  return [...paths.keys()].flatMap((path) => {
    const isBehindLink = path.split("/").some((_, depth, names) => links.has(names.slice(0, depth).join("/")));
    if (!found.has(path)) return isBehindLink ? [] : [say`${`/${path}`} is not in it`];
    return found.get(path) ?? [];
  });
}

async function difference(files: Archive, { name, size }: Member, { path, size: had, buildId }: BaseFile): Promise<Phrase | undefined> {
  if (size !== had) return say`${path} has ${size} bytes, the processes had one of ${had}`;
  const found = buildId === undefined ? undefined : await buildIdOf(files.open(name));
  if (found === undefined || found === buildId) return undefined;
  return say`${path} has the build ID ${found}, the processes had one with ${buildId ?? ""}`;
}
