import { createHash } from "node:crypto";
import type { Compression } from "../archive/compression.ts";

/** The one layer of a checkpoint image: the archive, byte for byte, perhaps compressed. */
export interface Layer {
  readonly compression: Compression;
  /** Of the bytes as they lie in the image: "sha256:…". */
  readonly digest: string;
  readonly bytes: number;
  /** Of the uncompressed archive: "sha256:…". */
  readonly diffId: string;
}

/** What an image says of its checkpoint besides the bytes. */
export interface ImageFacts {
  readonly container: string;
  /** The OCI runtime's own name: "runc", "crun". */
  readonly runtime: string;
  /** As Go calls it: "amd64". */
  readonly architecture: string;
  /** RFC 3339. */
  readonly created: string;
  /** More annotations of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** A small blob: a config or a manifest. */
export interface Document {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly digest: string;
}

export interface Image {
  readonly config: Document;
  readonly manifest: Document;
  readonly layer: Layer;
}

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";

/** What each engine tells a checkpoint image by. */
export const CONTAINERD_NAME = "org.criu.checkpoint.container.name";
const CRIO_NAME = "io.kubernetes.cri-o.annotations.checkpoint.name";
const PODMAN_RUNTIME = "io.podman.annotations.checkpoint.runtime.name";
/** The pod's API object as JSON, where it was known: what a restore elsewhere is made from. */
export const POD_ANNOTATION = "checkpoint.kubectl/pod";

/**
 * Config and manifest of a checkpoint image (https://github.com/opencontainers/image-spec). The same archive with the same facts
 * gives the same bytes. The annotations are in the config too: CRI-O takes images with equal configs for one image.
 */
export function checkpointImage(layer: Layer, facts: ImageFacts): Image {
  const { container, runtime, architecture, created } = facts;
  const marks = { [CONTAINERD_NAME]: container, [CRIO_NAME]: container, [PODMAN_RUNTIME]: runtime };
  const annotations = { ...marks, "org.opencontainers.image.created": created, ...facts.annotations };
  const config = document(CONFIG_TYPE, {
    created,
    architecture,
    os: "linux",
    config: { Labels: marks },
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
    history: [{ created, created_by: "kubectl checkpoint", comment: `${container}: ${digestOf(JSON.stringify(annotations))}` }],
  });
  const manifest = document(MANIFEST_TYPE, {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor(config),
    layers: [{ mediaType: layerType(layer.compression), digest: layer.digest, size: layer.bytes }],
    annotations,
  });
  return { config, manifest, layer };
}

export function descriptor({ mediaType, digest, bytes }: Document): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size: bytes.length };
}

export function digestOf(bytes: Buffer | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function layerType(compression: Compression): string {
  return compression === "none" ? LAYER_TYPE : `${LAYER_TYPE}+${compression}`;
}

function document(mediaType: string, value: object): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  return { mediaType, bytes, digest: digestOf(bytes) };
}
