import type { BlobSink } from "./layer.ts";
import type { Image } from "./manifest.ts";

/** A place on this machine that an image is written to. Disposed before it is finished, nothing of it is left. */
export interface ImageTarget extends AsyncDisposable {
  /** For the layer's bytes, written first. */
  readonly sink: BlobSink;
  /** Writes all the rest, and gives it its name. */
  finish(image: Image): Promise<void>;
}

/** Of the names by which tools find an image in a layout: containerd's own, and the specification's. */
export function nameAnnotations(reference: string): Record<string, string> {
  return { "io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference };
}

export const LAYOUT = Buffer.from(JSON.stringify({ imageLayoutVersion: "1.0.0" }));
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";
