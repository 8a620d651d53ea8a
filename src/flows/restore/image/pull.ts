import type { RemoteImage } from "../../../archive/archive.ts";
import { formatReference, type Reference } from "../../../image/reference.ts";
import { blobBytes } from "../../../image/registry/blobs.ts";
import { findImage } from "../../../image/registry/manifests.ts";
import type { Context } from "../../../model/context.ts";
import { say } from "../../../model/phrase.ts";
import { byteProgress } from "../../progress.ts";
import { registryFor, type RegistrySettings } from "./registries.ts";

/** Finds the image at a reference, of an architecture ("amd64") where there are several; its layers are pulled when they are read. Throws a UserError. */
export async function pullImage(
  context: Context,
  settings: RegistrySettings,
  reference: Reference,
  architecture?: string,
): Promise<RemoteImage> {
  const registry = await registryFor(context, settings, reference, "pull");
  try {
    const { digest, layers } = await findImage(registry, architecture);
    return {
      digest,
      layers: layers.map((layer) => ({
        bytes: layer.bytes,
        async *open() {
          const progress = byteProgress(context, "pull", say`pulling ${formatReference(reference)}`, layer.bytes);
          let pulled = 0;
          try {
            for await (const piece of blobBytes(registry, layer, context.signal)) {
              progress.update((pulled += piece.length));
              yield piece;
            }
          } finally {
            progress.end();
          }
        },
      })),
      [Symbol.asyncDispose]: async () => await registry[Symbol.asyncDispose](),
    };
  } catch (error) {
    await registry[Symbol.asyncDispose]();
    throw error;
  }
}
