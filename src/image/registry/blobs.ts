import { createHash } from "node:crypto";
import { UserError } from "../../model/error.ts";
import { say, type Text } from "../../model/phrase.ts";
import type { Source } from "../../model/source.ts";
import type { Document } from "../manifest.ts";
import { one, pause, type Registry } from "./client.ts";
import { RegistryCut, unexpected } from "./failure.ts";

/** A layer as a manifest names it. */
export interface FoundLayer {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: number;
}

/** How often what is small or can be read on is tried. */
const ATTEMPTS = 6;

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
  if (location === undefined) throw unexpected(registry.reference.registry, "it began an upload without saying where");
  return location;
}

/** Lets the registry forget an upload; also after an interruption. Never throws a UserError: an upload that is left ends by itself. */
export async function cancelUpload(registry: Registry, location: string): Promise<void> {
  const request = { method: "DELETE", url: location, doing: "cancel the upload", expected: [404, 405], evenAfterAbort: true } as const;
  await registry.request(request).catch(() => undefined);
}

/** Whether this user may push there: an upload is begun and cancelled. Throws a UserError where not. */
export async function checkWritable(registry: Registry): Promise<void> {
  const location = await startUpload(registry);
  if (location !== undefined) await cancelUpload(registry, location);
}

/** A small blob, whole. */
export async function putBlob(registry: Registry, { bytes, digest }: Document, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
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
      return;
    } catch (error) {
      if (!(error instanceof RegistryCut) || attempt === ATTEMPTS) throw error;
      await pause(attempt, signal);
    }
  }
}

/** A blob read by ranges. Throws a UserError where the registry has none of that digest, or gives no ranges. */
export function blobSource(registry: Registry, { digest, bytes }: Pick<FoundLayer, "digest" | "bytes">): Source {
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
        message: say`the registry ${name} does not support reading parts of a layer`,
        fix: "give the archive as FILE",
      });
    },
  };
}

/**
 * A blob from its beginning to its end; where the connection is cut, it is read on from there. Throws a UserError: DigestMismatch at the
 * end where it is not what its digest says.
 */
export async function* blobBytes(
  registry: Registry,
  { digest, bytes }: Pick<FoundLayer, "digest" | "bytes">,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const [algorithm = "", hex] = /^(sha256|sha512):([0-9a-f]+)$/.exec(digest)?.slice(1) ?? [];
  if (algorithm === "") throw unexpected(registry.reference.registry, say`its manifest names a layer ${digest}`);
  const hash = createHash(algorithm);
  let passed = 0;
  for (let attempt = 1; passed < bytes; attempt += 1) {
    const before = passed;
    try {
      for await (const piece of blobFrom(registry, digest, passed)) {
        passed += piece.length;
        if (passed > bytes) throw mismatch(registry, digest, "it is longer than the manifest says");
        hash.update(piece);
        yield piece;
      }
      if (passed < bytes) throw new RegistryCut({ reason: "RegistryConnectionLost", message: say`the layer ${digest} ended early` });
    } catch (error) {
      if (passed > before) attempt = 1;
      if (!(error instanceof RegistryCut) || attempt === ATTEMPTS) throw error;
      await pause(attempt, signal);
    }
  }
  const actual = hash.digest("hex");
  if (actual !== hex) throw mismatch(registry, digest, say`its digest is ${algorithm}:${actual}`);
}

async function* blobFrom(registry: Registry, digest: string, offset: number): AsyncGenerator<Buffer, void> {
  const { status, body } = await registry.stream({
    method: "GET",
    url: `/v2/${registry.reference.repository}/blobs/${digest}`,
    headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
    doing: "read the layer",
  });
  // A registry without ranges gives it all again.
  let skip = status === 206 ? 0 : offset;
  for await (const piece of body) {
    if (skip < piece.length) yield piece.subarray(skip);
    skip = Math.max(0, skip - piece.length);
  }
}

function mismatch({ reference }: Registry, digest: string, why: Text): UserError {
  return new UserError({
    reason: "DigestMismatch",
    message: say`what the registry ${reference.registry} has as ${digest} is something else`,
    why,
    fix: "do not trust it: compare the digest with whoever pushed it",
  });
}
