import { UserError } from "../../model/error.ts";
import { list, number, object, string, type Json } from "../../model/json.ts";
import type { Source } from "../../model/source.ts";
import { digestOf, MANIFEST_TYPE, type Document } from "../manifest.ts";
import { one, type Registry } from "./client.ts";

/** A manifest as a registry has it. */
export interface FoundManifest {
  readonly digest: string;
  readonly annotations: Json;
  readonly layers: readonly { readonly mediaType: string; readonly digest: string; readonly bytes: number }[];
}

const ACCEPT = [
  MANIFEST_TYPE,
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** What is at the reference; undefined where there is nothing. Throws a UserError. */
export async function findManifest(registry: Registry): Promise<FoundManifest | undefined> {
  const { repository, tag, digest } = registry.reference;
  const answer = await registry.request({
    method: "GET",
    url: `/v2/${repository}/manifests/${digest ?? tag ?? "latest"}`,
    headers: { accept: ACCEPT },
    doing: "read the manifest",
    expected: [404],
    persistent: true,
  });
  if (answer.status === 404) {
    if (/json/i.test(String(answer.headers["content-type"]))) return undefined;
    throw new UserError({
      reason: "NotARegistry",
      message: `${registry.reference.registry} does not answer as a registry does`,
      fix: "check its name and port",
    });
  }
  const found = digestOf(answer.bytes);
  if (digest !== undefined && found !== digest) throw damaged(registry, `what it has as ${digest} is ${found}`);
  const manifest = parsed(answer.bytes);
  if (manifest === undefined) throw damaged(registry, "its manifest is not JSON");
  return {
    digest: found,
    annotations: object(manifest["annotations"]),
    layers: list(manifest["layers"]).map((layer) => {
      const { mediaType, digest: layerDigest, size } = object(layer);
      return { mediaType: string(mediaType), digest: string(layerDigest), bytes: number(size) ?? 0 };
    }),
  };
}

export async function hasBlob(registry: Registry, digest: string): Promise<boolean> {
  const { repository } = registry.reference;
  const url = `/v2/${repository}/blobs/${digest}`;
  return (await registry.request({ method: "HEAD", url, doing: "look for the layer", expected: [404], persistent: true })).status < 300;
}

/**
 * Begins an upload: the place where it goes on. With a digest that is known, the registry may make the blob of one that it has in
 * another repository (or finds by itself): then undefined.
 */
export async function startUpload(
  registry: Registry,
  mount?: { readonly digest: string; readonly from: string | undefined },
): Promise<string | undefined> {
  const { repository } = registry.reference;
  const query =
    mount === undefined
      ? ""
      : `?mount=${encodeURIComponent(mount.digest)}${mount.from === undefined ? "" : `&from=${encodeURIComponent(mount.from)}`}`;
  if (mount?.from !== undefined) registry.alsoPull(mount.from);
  const answer = await registry.request({
    method: "POST",
    url: `/v2/${repository}/blobs/uploads/${query}`,
    headers: { "content-length": "0" },
    doing: "push",
    persistent: true,
  });
  if (answer.status === 201) return undefined;
  const location = one(answer.headers["location"]);
  if (location === undefined) throw damaged(registry, "it began an upload without saying where");
  return location;
}

/** A small blob, whole. */
export async function putBlob(registry: Registry, { bytes, digest }: Document): Promise<void> {
  if (await hasBlob(registry, digest)) return;
  const location = await startUpload(registry);
  if (location === undefined) return;
  await registry.request({
    method: "PUT",
    url: `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`,
    headers: { "content-type": "application/octet-stream", "content-length": String(bytes.length) },
    body: () => bytes,
    doing: "push the config",
  });
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

/** A blob read by ranges. Throws a UserError where the registry has none of that digest, or gives no ranges. */
export function blobSource(registry: Registry, { digest, bytes }: { readonly digest: string; readonly bytes: number }): Source {
  const { repository, registry: name } = registry.reference;
  return {
    size: bytes,
    async read(offset, length) {
      if (length === 0) return Buffer.alloc(0);
      const range = `bytes=${offset}-${offset + length - 1}`;
      const answer = await registry.request({
        method: "GET",
        url: `/v2/${repository}/blobs/${digest}`,
        headers: { range },
        doing: "read the layer",
        persistent: true,
      });
      if (answer.status === 206 && answer.bytes.length === length) return answer.bytes;
      throw new UserError({
        reason: "RegistryWithoutRanges",
        message: `the registry ${name} gives no parts of a layer`,
        fix: "give the archive as FILE",
      });
    },
  };
}

function parsed(bytes: Buffer): Json | undefined {
  try {
    return object(JSON.parse(bytes.toString("utf8")));
  } catch {
    return undefined;
  }
}

function damaged({ reference }: Registry, why: string): UserError {
  return new UserError({
    reason: "RegistryAnswerInvalid",
    message: `the registry ${reference.registry} answers with something unexpected`,
    why,
  });
}
