import { UserError } from "../../model/error.ts";
import { list, number, object, string, type Json } from "../../model/json.ts";
import { say } from "../../model/phrase.ts";
import { digestOf, MANIFEST_TYPE, type Document } from "../manifest.ts";
import { formatReference, pinned } from "../reference.ts";
import type { FoundLayer } from "./blobs.ts";
import type { Registry } from "./client.ts";
import { unexpected } from "./failure.ts";

/** A manifest as a registry has it. */
export interface FoundManifest {
  readonly digest: string;
  readonly annotations: Json;
  readonly layers: readonly FoundLayer[];
  /** Of an index: the manifests it lists. */
  readonly manifests: readonly {
    readonly digest: string;
    readonly annotations: Json;
    /** "amd64", "arm64"; "" where it is not said. */
    readonly architecture: string;
  }[];
}

const ACCEPT = [
  MANIFEST_TYPE,
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");
/** What is at the reference, or has a digest; undefined where there is nothing. Throws a UserError. */
export async function findManifest(registry: Registry, wanted = registry.reference.digest): Promise<FoundManifest | undefined> {
  const { repository, tag } = registry.reference;
  const answer = await registry.request({
    method: "GET",
    url: `/v2/${repository}/manifests/${wanted ?? tag ?? "latest"}`,
    headers: { accept: ACCEPT },
    doing: "read the manifest",
    expected: [404],
    persistent: true,
  });
  if (answer.status === 404) {
    if (/json/i.test(String(answer.headers["content-type"]))) return undefined;
    throw new UserError({
      reason: "NotARegistry",
      message: say`${registry.reference.registry} does not answer as a registry does`,
      fix: "check its name and port",
    });
  }
  const found = digestOf(answer.bytes);
  if (wanted !== undefined && found !== wanted) throw unexpected(registry.reference.registry, say`what it has as ${wanted} is ${found}`);
  const manifest = parsed(answer.bytes);
  if (manifest === undefined) throw unexpected(registry.reference.registry, "its manifest is not JSON");
  return {
    digest: found,
    annotations: object(manifest["annotations"]),
    layers: list(manifest["layers"]).map((layer) => {
      const { mediaType, digest, size } = object(layer);
      return { mediaType: string(mediaType), digest: string(digest), bytes: number(size) ?? 0 };
    }),
    manifests: list(manifest["manifests"]).map((one) => ({
      digest: string(object(one)["digest"]),
      annotations: object(object(one)["annotations"]),
      architecture: string(object(object(one)["platform"])["architecture"]),
    })),
  };
}

/**
 * The image at the reference: where there is an index, the only one it lists, or the only one of an architecture. Throws ImageNotFound,
 * ImageAmbiguous.
 */
export async function findImage(registry: Registry, architecture?: string): Promise<FoundManifest> {
  const found = await findManifest(registry);
  if (found === undefined) throw notFound(formatReference(registry.reference));
  if (found.manifests.length === 0) return found;
  const fitting = found.manifests.filter((one) => architecture !== undefined && one.architecture === architecture);
  const [only, more] = fitting.length > 0 ? fitting : found.manifests;
  if (only === undefined || more !== undefined) {
    throw new UserError({
      reason: "ImageAmbiguous",
      message: say`there are ${found.manifests.length} images at ${formatReference(registry.reference)}`,
      fix: say`give one by its digest: ${found.manifests
        .slice(0, 5)
        .map(({ digest }) => pinned(registry.reference, digest))
        .join(", ")}`,
      exitCode: 2,
    });
  }
  const one = await findManifest(registry, only.digest);
  if (one === undefined) throw notFound(pinned(registry.reference, only.digest));
  return one;
}

function notFound(name: string): UserError {
  return new UserError({ reason: "ImageNotFound", message: say`image ${name} not found` });
}

/** Names the image: from now on it can be pulled. */
export async function putManifest(registry: Registry, { bytes, digest, mediaType }: Document): Promise<void> {
  const { repository, tag } = registry.reference;
  await registry.request({
    method: "PUT",
    url: `/v2/${repository}/manifests/${tag ?? digest}`,
    headers: { "content-type": mediaType, "content-length": String(bytes.length) },
    body: () => bytes,
    doing: "push the manifest",
    persistent: true,
  });
}

/** Has the reference's tag name an image that the registry has, as before it named another one. Throws a UserError. */
export async function nameAgain(registry: Registry, digest: string): Promise<void> {
  const { repository, tag = "latest" } = registry.reference;
  const url = `/v2/${repository}/manifests`;
  const there = await registry.request({
    method: "GET",
    url: `${url}/${digest}`,
    headers: { accept: ACCEPT },
    doing: "read the manifest",
    persistent: true,
  });
  const { bytes, headers } = there;
  if (digestOf(bytes) !== digest) throw unexpected(registry.reference.registry, say`what it has as ${digest} is something else`);
  await registry.request({
    method: "PUT",
    url: `${url}/${tag}`,
    headers: { "content-type": String(headers["content-type"]), "content-length": String(bytes.length) },
    body: () => bytes,
    doing: "push the manifest",
    persistent: true,
  });
}

/**
 * Removes an image by its digest, with every tag that names it. False where the registry does not allow that to anybody, or does not have
 * it. Throws a UserError where this user may not. The registry has to be opened for "delete".
 */
export async function deleteManifest(registry: Registry, digest: string): Promise<boolean> {
  const { repository } = registry.reference;
  const url = `/v2/${repository}/manifests/${digest}`;
  const answer = await registry.request({
    method: "DELETE",
    url,
    doing: "delete the image",
    expected: [400, 404, 405, 501],
    persistent: true,
  });
  return answer.status < 300;
}

function parsed(bytes: Buffer): Json | undefined {
  try {
    return object(JSON.parse(bytes.toString("utf8")));
  } catch {
    return undefined;
  }
}
