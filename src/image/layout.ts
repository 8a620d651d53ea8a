import { randomUUID } from "node:crypto";
import { Directory } from "../local/directory.ts";
import { writing } from "../local/failure.ts";
import { writeAll } from "../local/write.ts";
import { Disposal } from "../model/disposal.ts";
import { UserError } from "../model/error.ts";
import { list, object, string, type Json } from "../model/json.ts";
import { say } from "../model/phrase.ts";
import { descriptor, type Image } from "./manifest.ts";
import { INDEX_TYPE, LAYOUT, nameAnnotations, type ImageTarget } from "./target.ts";

/**
 * An OCI layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md): a new directory, or one that is a
 * layout already, where the image of the same name is replaced. Files are of mode 0600, directories of 0700.
 * Throws a UserError where the directory holds anything else, or cannot be written.
 */
export async function layoutTarget(path: string, reference: string): Promise<ImageTarget> {
  const partial = `.partial-${randomUUID()}`;
  await using opened = new Disposal();
  const directory = opened.use(await Directory.openOrMake(path));
  const others = await manifestsIn(directory);
  const blobs = opened.use(await blobsOf(directory));
  const file = opened.use(await blobs.create(partial));
  opened.release();
  return {
    sink: { write: async (piece) => await writing(path, async () => await writeAll(file, piece)) },
    async finish(image) {
      await blobs.publish({ name: partial, file }, hexOf(image.layer.digest), true);
      for (const { bytes, digest } of [image.config, image.manifest]) await blobs.replace(hexOf(digest), bytes);
      await directory.replace("oci-layout", LAYOUT);
      await directory.replace("index.json", indexWith(image, reference, others));
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      await blobs.remove(partial);
      await blobs[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function blobsOf(directory: Directory): Promise<Directory> {
  await using blobs = await directory.directory("blobs");
  return await blobs.directory("sha256");
}

/** Bytes of index.json, the image beside those that are there already. */
export function indexWith({ manifest }: Image, reference: string, others: readonly Json[] = []): Buffer {
  const names = nameAnnotations(reference);
  const kept = others.filter((other) => Object.entries(names).every(([key, name]) => string(object(other["annotations"])[key]) !== name));
  const manifests = [...kept, { ...descriptor(manifest), annotations: names }];
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests }));
}

/** Of a layout that is there; none where there is nothing yet. */
async function manifestsIn(directory: Directory): Promise<Json[]> {
  const names = await directory.names();
  if (names.length === 0) return [];
  try {
    await using index = await directory.read("index.json");
    return list(object(JSON.parse(await index.readFile("utf8")))["manifests"]).map(object);
  } catch (error) {
    throw new UserError({
      reason: "DestinationUnusable",
      message: say`${directory.path} already exists, and it is not an OCI layout`,
      fix: "choose a new directory, or one that is an OCI layout",
      cause: error,
    });
  }
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}
