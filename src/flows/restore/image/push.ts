import type { Compression } from "../../../archive/compression.ts";
import { knownLayers, rememberLayer, type KnownLayer } from "../../../image/known.ts";
import { writeLayer, type ArchiveBytes, type BlobSink, type WrittenLayer } from "../../../image/layer.ts";
import { checkpointImage, CONTAINERD_NAME, type Layer } from "../../../image/manifest.ts";
import { formatReference, pinned, type Reference } from "../../../image/reference.ts";
import type { Registry } from "../../../image/registry/client.ts";
import { hasBlob, putBlob, startUpload } from "../../../image/registry/blobs.ts";
import { findManifest, putManifest, type FoundManifest } from "../../../image/registry/manifests.ts";
import { upload, UploadLost } from "../../../image/registry/upload.ts";
import type { Context } from "../../../model/context.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";
import { archiveFacts, imageFacts, keepForFacts, warnOfProblems, type ArchiveFacts, type Origin } from "./facts.ts";
import { byteProgress } from "../../progress.ts";
import { refusePublic, registryFor, type RegistrySettings } from "./registries.ts";

export interface PushRequest {
  readonly reference: Reference;
  readonly archive: ArchiveBytes;
  /** Undefined: as it is. */
  readonly compression: Compression | undefined;
  readonly origin: Origin;
  /** Of the file, "sha256:…", as a record says: worth a look whether the registry has it. */
  readonly expected: string | undefined;
  readonly settings: RegistrySettings;
  /** Asked before anything is sent; throws where it is refused. `found` is what is at the reference now. */
  readonly consent: (found: FoundManifest | undefined) => Promise<void>;
  /** Before an image that the registry does not have gets its name: from then on it may be pulled. */
  readonly naming?: (digest: string) => void;
}

export interface Pushed {
  /** By digest. */
  readonly reference: string;
  readonly digest: string;
  /** Of the layer as it lies in the image. */
  readonly bytes: number;
  /** Of the layer, as they travelled; 0 where the registry had it. */
  readonly sentBytes: number;
  readonly facts: ArchiveFacts;
}

interface Written {
  readonly layer: Layer;
  readonly facts: ArchiveFacts;
  readonly sentBytes: number;
}

/** How often a lost upload is begun again. */
const UPLOADS = 5;

/** Whether what is at a reference is a checkpoint, as far as its annotations tell. */
export function isCheckpoint(found: FoundManifest | undefined): boolean {
  return typeof found?.annotations[CONTAINERD_NAME] === "string";
}

/**
 * Pushes an archive as an image: read once while it is sent; where the registry is likely to have it, it is read to see whether
 * it does, and then not sent. Throws a UserError.
 */
export async function pushImage(context: Context, request: PushRequest): Promise<Pushed> {
  const { reference, settings, origin } = request;
  refusePublic(reference, settings);
  await using registry = await registryFor(context, settings, reference, "pull,push");
  const found = await findManifest(registry);
  await request.consent(found);
  const { layer, facts, sentBytes } = await pushLayer(context, registry, request, found);
  asRecorded(request, layer);
  const image = checkpointImage(layer, imageFacts(facts, origin));
  const { digest } = image.manifest;
  if (reference.digest !== undefined && digest !== reference.digest) {
    throw new UserError({
      reason: "DigestMismatch",
      message: `the image of ${request.archive.label} is not ${reference.digest}`,
      why: `its digest is ${digest}`,
      fix: "push it to a tag",
      exitCode: 2,
    });
  }
  if (found?.digest !== digest) {
    if (request.naming !== undefined && (await findManifest(registry, digest)) === undefined) request.naming(digest);
    await putBlob(registry, image.config, context.signal);
    await putManifest(registry, image.manifest);
  }
  return { reference: pinned(reference, digest), digest, bytes: layer.bytes, sentBytes, facts };
}

/** The layer is the file itself: throws a UserError where it is not what its record says. Nothing refers to it yet. */
function asRecorded({ archive, compression, expected }: PushRequest, { digest }: Layer): void {
  if (compression !== undefined || expected === undefined || expected === digest) return;
  throw new UserError({
    reason: "RecordMismatch",
    message: `${archive.label} is not what its record says: it has been changed since it was copied, or the record has`,
    why: `its SHA-256 is ${digest.replace("sha256:", "")}, the record has ${expected.replace("sha256:", "")}`,
    fix: "compare them with whoever made them; without the record beside it, the archive is taken as it is",
  });
}

async function pushLayer(context: Context, registry: Registry, request: PushRequest, found: FoundManifest | undefined): Promise<Written> {
  const { archive } = request;
  const known = (await knownLayers(context.env)).filter(({ archiveBytes }) => archiveBytes === archive.size);
  const likely = known.length > 0 || request.expected !== undefined || found?.layers[0]?.bytes === archive.size;
  let location: string | undefined;
  if (likely && archive.repeatable) {
    const there = await look(context, registry, request, known);
    if (there.written !== undefined) return there.written;
    ({ location } = there);
  }
  const { written, sentBytes } = await send(context, registry, request, location);
  await remember(context, registry, request, written);
  return { ...written, sentBytes };
}

/** Reads the archive, and sees whether the registry has its layer, here or where it can be mounted from. */
async function look(
  context: Context,
  registry: Registry,
  request: PushRequest,
  known: readonly KnownLayer[],
): Promise<{ written?: Written; location?: string }> {
  const { archive, compression } = request;
  const progress = byteProgress(context, "hash", say`reading ${archive.label}`, archive.size);
  let read = 0;
  const sink: BlobSink = { write: async (piece) => progress.update((read += piece.length)) };
  try {
    const {
      layer: asItIs,
      facts,
      problems,
    } = await writeLayer({
      archive,
      compression: undefined,
      sink,
      keep: keepForFacts,
      facts: archiveFacts,
      signal: context.signal,
    });
    const wanted = compression ?? asItIs.compression;
    const same = known.filter((one) => one.archiveDigest === asItIs.digest && one.compression === wanted);
    warnOfProblems(context, archive.label, problems);
    const layers: readonly Layer[] = wanted === asItIs.compression ? [asItIs] : same;
    for (const layer of layers) {
      if (await hasBlob(registry, layer.digest)) return { written: { layer, facts, sentBytes: 0 } };
      const { registry: host, repository } = registry.reference;
      const other = same.find((one) => one.digest === layer.digest && one.registry === host && one.repository !== repository);
      const location = await startUpload(registry, { digest: layer.digest, from: other?.repository });
      if (location === undefined) return { written: { layer, facts, sentBytes: 0 } };
      return { location };
    }
    return {};
  } finally {
    progress.end();
  }
}

async function send(
  context: Context,
  registry: Registry,
  request: PushRequest,
  begun: string | undefined,
): Promise<{ written: WrittenLayer<ArchiveFacts>; sentBytes: number }> {
  const { archive, compression } = request;
  const { signal } = context;
  const total = compression === undefined ? archive.size : undefined;
  const progress = byteProgress(context, "push", say`pushing ${archive.label} to ${formatReference(request.reference)}`, total);
  let sentBytes = 0;
  let location = begun;
  try {
    for (let attempt = 1; ; attempt += 1) {
      location ??= await startUpload(registry);
      if (location === undefined) throw new Error("an upload without a digest cannot be there already");
      let most = 0;
      const sent = (bytes: number): void => {
        sentBytes += Math.max(0, bytes - most);
        most = Math.max(most, bytes);
        progress.update(bytes);
      };
      const uploading = upload(registry, { location, sent, signal });
      try {
        const written = await writeLayer({ archive, compression, sink: uploading, keep: keepForFacts, facts: archiveFacts, signal });
        warnOfProblems(context, archive.label, written.problems);
        await uploading.finish(written.layer.digest);
        return { written, sentBytes };
      } catch (error) {
        if (!(error instanceof UploadLost) || !archive.repeatable || attempt === UPLOADS) {
          await uploading.cancel();
          throw error;
        }
        context.emit({ kind: "warning", text: say`${error.message} (${error.why ?? ""}): starting again` });
        location = undefined;
      }
    }
  } finally {
    progress.end();
  }
}

async function remember(
  { env }: Context,
  { reference }: Registry,
  { archive }: PushRequest,
  written: WrittenLayer<unknown>,
): Promise<void> {
  const { layer, archiveDigest } = written;
  if (archive.size === undefined || archiveDigest === undefined) return;
  await rememberLayer(env, {
    ...layer,
    registry: reference.registry,
    repository: reference.repository,
    archiveBytes: archive.size,
    archiveDigest,
  });
}
