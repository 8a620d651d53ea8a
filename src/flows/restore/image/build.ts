import type { Compression } from "../../../archive/compression.ts";
import { writeLayer, type ArchiveBytes } from "../../../image/layer.ts";
import { layoutTarget } from "../../../image/layout.ts";
import { checkpointImage } from "../../../image/manifest.ts";
import type { Context } from "../../../model/context.ts";
import { say } from "../../../model/phrase.ts";
import { archiveFacts, imageFacts, keepForFacts, warnOfProblems, type ArchiveFacts, type Origin } from "./facts.ts";
import { byteProgress } from "../../progress.ts";

/** As --to has it. */
export interface Place {
  readonly kind: "oci" | "oci-archive";
  readonly path: string;
}

export interface BuildRequest {
  readonly archive: ArchiveBytes;
  /** Undefined: as it is. */
  readonly compression: Compression | undefined;
  readonly origin: Origin;
  /** What the image is called in there. */
  readonly reference: string;
  readonly to: Place;
}

export interface Built {
  readonly digest: string;
  /** Of the layer as it lies in the image. */
  readonly bytes: number;
  readonly facts: ArchiveFacts;
}

/** Writes an archive as an image to this machine, read once. Throws a UserError; then nothing of it is left. */
export async function buildImage(context: Context, { archive, compression, origin, reference, to }: BuildRequest): Promise<Built> {
  await using target =
    to.kind === "oci"
      ? await layoutTarget(to.path, reference)
      : await (await import("../../../image/tarball.ts")).tarballTarget(to.path, reference);
  const progress = byteProgress(
    context,
    "image",
    say`writing the image to ${to.path}`,
    compression === undefined ? archive.size : undefined,
  );
  let written = 0;
  const sink = {
    write: async (piece: Buffer): Promise<void> => {
      progress.update((written += piece.length));
      await target.sink.write(piece);
    },
  };
  try {
    const { layer, facts, problems } = await writeLayer({
      archive,
      compression,
      sink,
      keep: keepForFacts,
      facts: archiveFacts,
      signal: context.signal,
    });
    warnOfProblems(context, archive.label, problems);
    const image = checkpointImage(layer, imageFacts(facts, origin));
    await target.finish(image);
    return { digest: image.manifest.digest, bytes: layer.bytes, facts };
  } finally {
    progress.end();
  }
}
