import { stat } from "node:fs/promises";
import type { Unlock } from "../../../age/open.ts";
import type { OpenArchive } from "../../../archive/archive.ts";
import { Budget } from "../../../archive/budget.ts";
import { openBytes } from "../../../archive/bytes.ts";
import { openArchive } from "../../../archive/open.ts";
import { openPlain } from "../../../archive/plain.ts";
import { openVolumes, type VolumesBeside } from "../../../archive/volumes.ts";
import { formatReference, pinned, type Reference } from "../../../image/reference.ts";
import { blobSource } from "../../../image/registry/blobs.ts";
import { findManifest } from "../../../image/registry/manifests.ts";
import { POD_ANNOTATION } from "../../../image/manifest.ts";
import type { Context } from "../../../model/context.ts";
import { Disposal } from "../../../model/disposal.ts";
import { UserError } from "../../../model/error.ts";
import { object, string } from "../../../model/json.ts";
import { say, type Phrase } from "../../../model/phrase.ts";
import type { Origin } from "../image/facts.ts";
import { recorded } from "../image/record.ts";
import { registryFor, type RegistrySettings } from "../image/registries.ts";
import type { Sent } from "./channel.ts";

/** What is restored: an archive that is sent, or the image of one, which the node pulls. */
export interface SandboxCheckpoint extends AsyncDisposable {
  readonly archive: OpenArchive;
  readonly origin: Origin;
  readonly bytes: number;
  /** The image by its digest; undefined where the archive is sent. */
  readonly image: string | undefined;
  /** How it is sent where no node mounts it: an image's layer comes from its registry. */
  readonly sent: Sent;
  /** Of the file, as its record says, or of the layer: "sha256" in hex. */
  readonly expected: string | undefined;
  /** The pod's volumes, where they were copied with the archive. */
  readonly volumes: (VolumesBeside & { readonly sent: Sent }) | undefined;
  /** Why a record, or volumes, are not used. */
  readonly problems: readonly Phrase[];
}

export async function checkpointFile(path: string, { signal }: Context, unlock?: Unlock): Promise<SandboxCheckpoint> {
  const { origin, sha256, problem } = await recorded(path, unlock);
  const opened = new Disposal();
  try {
    const archive = opened.use(await openArchive(path, { signal, ...(unlock === undefined ? {} : { unlock }) }));
    if (archive.form !== "engine" || archive.image !== undefined || archive.pod !== undefined || !(await stat(path)).isFile()) {
      throw new UserError({
        reason: "NotAnArchive",
        message: say`${path} is not a checkpoint archive; --sandbox needs the archive of one container`,
        fix: say`for a checkpoint image in a registry: --image REFERENCE --sandbox`,
        exitCode: 2,
      });
    }
    const problems = problem === undefined ? [] : [problem];
    const volumes = await volumesOf(path, opened, signal, unlock).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error;
      problems.push(say`${error.said.message}: nothing of the pod's volumes is in the sandbox`);
      return undefined;
    });
    const sent = await sentFile(path, archive.compression, opened, unlock);
    return {
      archive,
      origin,
      bytes: sent.bytes,
      image: undefined,
      sent,
      expected: sha256,
      volumes,
      problems,
      [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose](),
    };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

async function volumesOf(
  path: string,
  opened: Disposal,
  signal: AbortSignal,
  unlock: Unlock | undefined,
): Promise<SandboxCheckpoint["volumes"]> {
  const volumes = await openVolumes(path, Budget.withoutClock(), { signal, ...(unlock === undefined ? {} : { unlock }) });
  if (volumes === undefined) return undefined;
  opened.use(volumes);
  return { ...volumes, sent: await sentFile(volumes.path, volumes.archive.compression, opened, unlock) };
}

async function sentFile(path: string, codec: Sent["codec"], opened: Disposal, unlock: Unlock | undefined): Promise<Sent> {
  const { source } = opened.use(await openPlain(path, unlock));
  // Each time into other memory: what was sent may not have left yet.
  const read = async (offset: number, length: number): Promise<Buffer> => await source.read(offset, length, Buffer.allocUnsafeSlow(length));
  return { codec, bytes: source.size, read };
}

export async function checkpointImage(context: Context, reference: Reference, settings: RegistrySettings): Promise<SandboxCheckpoint> {
  const registry = await registryFor(context, settings, reference, "pull");
  try {
    const found = await findManifest(registry);
    const [layer] = found?.layers ?? [];
    if (found === undefined || layer === undefined)
      throw new UserError({ reason: "ImageNotFound", message: say`image ${formatReference(reference)} not found in its registry` });
    const options = { signal: context.signal, budget: Budget.withoutClock() };
    const source = blobSource(registry, layer);
    const archive = await openBytes(source, `the layer of ${formatReference(reference)}`, options);
    return {
      archive,
      origin: originIn(string(found.annotations[POD_ANNOTATION])),
      bytes: layer.bytes,
      image: pinned(reference, found.digest),
      sent: { codec: archive.compression, bytes: layer.bytes, read: async (offset, length) => await source.read(offset, length) },
      expected: /^sha256:([0-9a-f]{64})$/.exec(layer.digest)?.[1],
      volumes: undefined,
      problems: [],
      [Symbol.asyncDispose]: async () => {
        await archive[Symbol.asyncDispose]();
        await registry[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await registry[Symbol.asyncDispose]();
    throw error;
  }
}

function originIn(text: string): Origin {
  try {
    return text === "" ? {} : { pod: object(JSON.parse(text)) };
  } catch {
    return {};
  }
}
