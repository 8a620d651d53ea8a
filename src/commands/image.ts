import type { Compression } from "../archive/compression.ts";
import { openArchive } from "../archive/open.ts";
import { buildImage, type Place } from "../flows/restore/image/build.ts";
import { consentToPush } from "../flows/restore/image/consent.ts";
import { archiveFacts, keepForFacts, type ArchiveFacts } from "../flows/restore/image/facts.ts";
import { pushImage } from "../flows/restore/image/push.ts";
import { recorded } from "../flows/restore/image/record.ts";
import type { RegistrySettings } from "../flows/restore/image/registries.ts";
import { archiveFile } from "../flows/restore/image/source.ts";
import { formatReference, parseReference, type Reference } from "../image/reference.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { ImageDocument } from "../model/restoration.ts";
import { formatBytes, formatSeconds } from "../model/units.ts";
import type { Call } from "./command.ts";
import { registrySettings } from "./registry-settings.ts";

export interface ImageRequest {
  /** "-" is standard input. */
  readonly file: string;
  readonly reference: Reference;
  /** Undefined: it is pushed. */
  readonly to: Place | undefined;
  /** Undefined: as the file is. */
  readonly compression: Compression | undefined;
  readonly settings: RegistrySettings;
}

/** Throws a usage error. */
export function imageRequest(words: readonly string[], flags: Flags): ImageRequest {
  const [file, name, more] = words;
  if (file === undefined || file === "") throw usageError("which archive?", "kubectl checkpoint image FILE REFERENCE --push");
  if (name === undefined)
    throw usageError("what shall the image be called?", "kubectl checkpoint image FILE REGISTRY/REPOSITORY:TAG --push");
  if (more !== undefined) throw usageError(`one archive makes one image: "${more}" is one word too many`);
  const to = flags.text("to");
  if (flags.on("push") === (to !== undefined)) {
    throw usageError(to === undefined ? "where to?" : "one place at a time", "--push, --to oci:DIR or --to oci-archive:FILE");
  }
  return {
    file,
    reference: parseReference(name),
    to: to === undefined ? undefined : place(to),
    compression: flags.text("compress") as Compression | undefined,
    settings: registrySettings(flags),
  };
}

function place(text: string): Place {
  const [, kind, path] = /^(oci|oci-archive):(.+)$/s.exec(text) ?? [];
  if (kind === undefined || path === undefined)
    throw usageError(`--to: "${text}" is no place for an image`, "--to oci:DIR or --to oci-archive:FILE");
  return { kind: kind as Place["kind"], path };
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = imageRequest(call.words, call.flags);
  const { file, reference, compression, to, settings } = request;
  const started = performance.now();
  const archive = await archiveFile(file, call.stdin);
  const { origin, sha256, problem } = await recorded(file);
  if (problem !== undefined) call.emit({ kind: "warning", text: problem });
  const what = checkpointOf(await early(file, call.signal));
  const name = formatReference(reference);
  let image: Omit<ImageDocument, "apiVersion" | "kind">;
  if (to === undefined) {
    const expected = sha256 === undefined ? undefined : `sha256:${sha256}`;
    const consent = async (found: Parameters<typeof consentToPush>[4]): Promise<void> =>
      await consentToPush(call, call.flags.on("yes"), reference, what, found);
    const pushed = await pushImage(call, { reference, archive, compression, origin, expected, settings, consent });
    const { digest, bytes, sentBytes } = pushed;
    image = { reference: name, digest, bytes, pushed: true, sentBytes };
    const seconds = (performance.now() - started) / 1000;
    const how =
      sentBytes === 0
        ? say`, which the registry had already`
        : say` in ${formatSeconds(seconds)} (${formatBytes(Math.round(sentBytes / seconds))}/s)`;
    yield { text: say`${name} pushed: ${formatBytes(bytes)}${how}\n${pushed.reference}`, name: pushed.reference };
  } else {
    const { digest, bytes } = await buildImage(call, { archive, compression, origin, reference: name, to });
    image = { reference: name, digest, bytes, pushed: false, path: to.path };
    yield { text: say`${name} written to ${to.path}: ${formatBytes(bytes)}, ${digest}`, name: to.path };
  }
  const document: ImageDocument = { apiVersion: API_VERSION, kind: "Image", ...image };
  return { document, exitCode: 0 };
}

/** What a plain file tells before anything is sent: that it is a checkpoint at all, and whose. Others tell while they are read. */
async function early(file: string, signal: AbortSignal): Promise<ArchiveFacts | undefined> {
  if (file === "-") return undefined;
  await using archive = await openArchive(file, { keep: keepForFacts, signal });
  return await archiveFacts(archive);
}

function checkpointOf(facts: ArchiveFacts | undefined): Phrase {
  const { container, pod } = facts?.info ?? {};
  if (container === undefined) return say`This checkpoint`;
  return pod === undefined ? say`The checkpoint of container ${container}` : say`The checkpoint of container ${container} in pod/${pod}`;
}
