import type { Unlock } from "../age/open.ts";
import type { Compression } from "../archive/compression.ts";
import { openArchive } from "../archive/open.ts";
import { buildImage, type Place } from "../flows/restore/image/build.ts";
import { consentToPush } from "../flows/restore/image/consent.ts";
import { archiveFacts, keepForFacts, type ArchiveFacts } from "../flows/restore/image/facts.ts";
import { pushImage } from "../flows/restore/image/push.ts";
import { recorded } from "../flows/restore/image/record.ts";
import { archiveFile } from "../flows/restore/image/source.ts";
import { formatReference, parseReference, type Reference } from "../image/reference.ts";
import { API_VERSION } from "../model/documents.ts";
import { Interrupted, UserError, usageError } from "../model/error.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { ImageDocument } from "../model/restoration.ts";
import { formatBytes, formatSeconds } from "../model/units.ts";
import { fileWord } from "./shared/archives.ts";
import { COMMON, output } from "./shared/common.ts";
import { choice, on, parsed } from "./shared/flags.ts";
import { noted, pulling, READING, REGISTRY, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { defineVerb, type Call } from "./shared/verb.ts";

export interface ImageRequest {
  /** "-" is standard input. */
  readonly file: string;
  readonly reference: Reference;
  /** Undefined: it is pushed. */
  readonly to: Place | undefined;
  /** Undefined: as the file is. */
  readonly compression: Compression | undefined;
  readonly yes: boolean;
  readonly settings: ReadingSettings;
}

export const verb = defineVerb({
  name: "image",
  summary: "Build a restorable image from an archive",
  usage: ["image FILE REFERENCE (--push | --to oci:DIR | --to oci-archive:FILE) [options]"],
  description: `Build an OCI image from an archive on this machine; containerd, CRI-O and Podman can restore the container from it. The archive is
the image's only layer, byte for byte. Neither root nor a container engine is needed.

FILE is an archive of containerd, CRI-O or Podman, plain or compressed with gzip or zstd, encrypted with age (the image is not, and that
is confirmed), or "-" for standard input. REFERENCE is
REGISTRY/REPOSITORY:TAG. --push uploads it in pieces, resumes after a lost connection where the registry allows it, and skips layers that
the registry already has. --to writes an OCI layout or an OCI archive.

A checkpoint contains all memory of its processes: everyone who can pull the image can read passwords and keys in it. The first push to a
reference is confirmed, and well-known public registries are refused without --allow-public. If a record (FILE.json) is beside FILE, the
image includes the pod's manifest for "kubectl checkpoint restore --image REFERENCE", but not the values of its environment
variables.`,
  examples: [
    { what: "Push to a registry", command: "kubectl checkpoint image nginx.tar registry.example.com/dumps/nginx:1 --push" },
    {
      what: "Push to a registry with a private CA, compressed, without a question",
      command: "kubectl checkpoint image nginx.tar registry.local:5000/nginx:1 --push --compress zstd --ca-file ca.crt --yes",
    },
    {
      what: "Write a file for skopeo or ctr images import",
      command: "kubectl checkpoint image nginx.tar dumps/nginx:1 --to oci-archive:nginx-image.tar",
    },
    {
      what: "From a node to a registry, without a file on this machine",
      command: "kubectl checkpoint cp node1:checkpoint-a.tar - | kubectl checkpoint image - registry.local:5000/a:1 --push --yes",
    },
  ],
  flags: {
    push: on("push the image to the registry"),
    to: parsed(placeOf, { value: "oci:DIR|oci-archive:FILE", help: "write the image to this machine" }),
    compress: choice(["zstd", "gzip", "none"], {
      value: "CODEC",
      help: "compress the layer: zstd, gzip or none (default: as FILE is)",
    }),
    output: output("name", "json", "yaml"),
    ...READING,
    ...REGISTRY,
    ...COMMON,
  },
  request(words, flags): ImageRequest {
    const file = fileWord("image", words, " REFERENCE --push");
    const [, name, more] = words;
    if (name === undefined) throw usageError("REFERENCE is required", "kubectl checkpoint image FILE REGISTRY/REPOSITORY:TAG --push");
    if (more !== undefined) throw usageError(say`unexpected argument "${more}": image takes FILE and REFERENCE`);
    const { to } = flags;
    if (flags.push === (to !== undefined)) {
      throw usageError(
        to === undefined ? "--push or --to is required" : "--push and --to cannot be used together",
        "--push, --to oci:DIR or --to oci-archive:FILE",
      );
    }
    return {
      file,
      reference: parseReference(name),
      to,
      compression: flags.compress,
      yes: flags.yes,
      settings: registrySettings(flags),
    };
  },
  async *run(request, call) {
    const { file, reference, compression, to, settings, yes } = request;
    const started = performance.now();
    await noted(call, settings, "image", [file]);
    const { unlock } = pulling(call, settings);
    const archive = await archiveFile(file, { stdin: call.stdin, unlock });
    const { origin, sha256, problem } = await recorded(file, unlock);
    if (problem !== undefined) call.emit({ kind: "warning", text: problem });
    const what = checkpointOf(await early(file, call.signal, unlock));
    const name = formatReference(reference);
    let image: Omit<ImageDocument, "apiVersion" | "kind">;
    if (to === undefined) {
      const expected = sha256 === undefined ? undefined : `sha256:${sha256}`;
      const consent = async (found: Parameters<typeof consentToPush>[4]): Promise<void> =>
        await consentToPush(call, yes, reference, what, found, archive.isEncrypted);
      const pushed = await pushImage(call, { reference, archive, compression, origin, expected, settings, consent });
      const { digest, bytes, sentBytes } = pushed;
      image = { reference: name, digest, bytes, pushed: true, sentBytes };
      const seconds = (performance.now() - started) / 1000;
      const how =
        sentBytes === 0
          ? say`; the registry already has it`
          : say` in ${formatSeconds(seconds)} (${formatBytes(Math.round(sentBytes / seconds))}/s)`;
      yield { text: say`${name} pushed: ${formatBytes(bytes)}${how}\n${pushed.reference}`, name: pushed.reference };
    } else {
      if (archive.isEncrypted && !yes) await consentToPlain(call, what, to.path);
      const { digest, bytes } = await buildImage(call, { archive, compression, origin, reference: name, to });
      image = { reference: name, digest, bytes, pushed: false, path: to.path };
      yield { text: say`${name} written to ${to.path}: ${formatBytes(bytes)}, ${digest}`, name: to.path };
    }
    const document: ImageDocument = { apiVersion: API_VERSION, kind: "Image", ...image };
    return { document, exitCode: 0 };
  },
});

function placeOf(text: string, name: string): Place {
  const [, kind, path] = /^(oci|oci-archive):(.+)$/s.exec(text) ?? [];
  if (kind === undefined || path === undefined) throw usageError(say`invalid value "${text}" for ${name}: use oci:DIR or oci-archive:FILE`);
  return { kind: kind as Place["kind"], path };
}

/** Asks before what is in an encrypted file is written to this machine in plain. Throws where it is refused. */
async function consentToPlain({ ask }: Call, what: Phrase, path: string): Promise<void> {
  if (!ask.possible) {
    throw new UserError({
      reason: "ConsentNeeded",
      message: say`this would write an encrypted checkpoint to ${path} unencrypted`,
      fix: "rerun with --yes to confirm",
      exitCode: 2,
    });
  }
  if (!(await ask.confirm(say`${what} is encrypted; the image in ${path} will not be. Write it?`))) throw new Interrupted("SIGINT");
}

/** Whose checkpoint a file is, before anything is sent. Standard input is known only when it has been read. */
async function early(file: string, signal: AbortSignal, unlock: Unlock | undefined): Promise<ArchiveFacts | undefined> {
  if (file === "-") return undefined;
  await using archive = await openArchive(file, { keep: keepForFacts, signal, ...(unlock === undefined ? {} : { unlock }) });
  return await archiveFacts(archive);
}

function checkpointOf(facts: ArchiveFacts | undefined): Phrase {
  const { container, pod } = facts?.info ?? {};
  if (container === undefined) return say`This checkpoint`;
  return pod === undefined ? say`The checkpoint of container ${container}` : say`The checkpoint of container ${container} in pod/${pod}`;
}
