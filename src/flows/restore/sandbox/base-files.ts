import type { Archive } from "../../../archive/archive.ts";
import { Budget } from "../../../archive/budget.ts";
import { openLayer } from "../../../archive/bytes.ts";
import { LayeredFiles } from "../../../archive/layers.ts";
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

/** What differs, a sentence each. Of links nothing is said. */
async function differences(
  { signal }: Context,
  registry: Registry,
  image: FoundManifest,
  wanted: ReadonlyMap<string, BaseFile>,
): Promise<Phrase[]> {
  const tree = new LayeredFiles();
  const kept = Budget.withoutClock();
  /** Of the files that are there; undefined: the same. */
  const found = new Map<string, Phrase | undefined>();
  for (const packed of image.layers) {
    const options = { signal, budget: Budget.withoutClock() };
    await using layer = await openLayer(blobBytes(registry, packed, signal), `the layer ${packed.digest}`, packed.bytes, options);
    await layer.rest();
    for (const name of layer.members.keys()) tree.whiteOut(name);
    for (const member of layer.members.values()) {
      kept.keep("the files of the image", 1, member.name.length / 4);
      tree.put(member, layer);
    }
    for (const [path, file] of wanted) {
      const entry = tree.find(path);
      if (entry?.layer === layer && entry.type === "file") found.set(path, await difference(layer, entry.name, file));
    }
  }
  return [...wanted.keys()].flatMap((path) => found.get(path) ?? (tree.find(path) === undefined ? say`${path} is not in it` : []));
}

async function difference(layer: Archive, name: string, { path, size: had, buildId }: BaseFile): Promise<Phrase | undefined> {
  const source = layer.open(name);
  if (source.size !== had) return say`${path} has ${source.size} bytes, the processes had one of ${had}`;
  const found = buildId === undefined ? undefined : await buildIdOf(source);
  if (found === undefined || found === buildId) return undefined;
  return say`${path} has the build ID ${found}, the processes had one with ${buildId ?? ""}`;
}
