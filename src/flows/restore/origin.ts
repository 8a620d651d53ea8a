import type { Unlock } from "../../age/open.ts";
import { Budget } from "../../archive/budget.ts";
import { openBytes } from "../../archive/bytes.ts";
import { openArchive } from "../../archive/open.ts";
import { POD_ANNOTATION } from "../../image/manifest.ts";
import { formatReference, type Reference } from "../../image/reference.ts";
import { blobSource } from "../../image/registry/blobs.ts";
import { findManifest, type FoundManifest } from "../../image/registry/manifests.ts";
import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { string, type Json } from "../../model/json.ts";
import { command, say, type Phrase } from "../../model/phrase.ts";
import { archiveFacts, keepForFacts, podOfText, type ArchiveFacts, type Origin } from "./image/facts.ts";
import { isCheckpoint } from "./image/push.ts";
import { recorded } from "./image/record.ts";
import { registryFor, type RegistrySettings } from "./image/registries.ts";

/** What a restore is made from: what the archive says, and what else is known of its origin. */
export interface Checkpoint {
  readonly facts: ArchiveFacts;
  readonly origin: Origin;
  /** Of the archive's file, "sha256:…", as a record says. */
  readonly expected?: string;
  /** Why a record is not used. */
  readonly problem?: Phrase;
}

/** Of an archive on this machine, and the record beside it. */
export async function checkpointInFile(path: string, signal: AbortSignal, unlock: Unlock | undefined): Promise<Checkpoint> {
  const { origin, sha256, problem } = await recorded(path, unlock);
  await using archive = await openArchive(path, { keep: keepForFacts, signal, ...(unlock === undefined ? {} : { unlock }) });
  return {
    facts: await archiveFacts(archive),
    origin,
    ...(sha256 === undefined ? {} : { expected: `sha256:${sha256}` }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Of an image in a registry: of its layer only the parts that tell are fetched, where it is not compressed. */
export async function checkpointInRegistry(
  context: Context,
  reference: Reference,
  settings: RegistrySettings,
): Promise<Checkpoint & { readonly digest: string }> {
  await using registry = await registryFor(context, settings, reference, "pull");
  const found = await findManifest(registry);
  const [layer] = found?.layers ?? [];
  if (found === undefined || layer === undefined || !isCheckpoint(found)) throw notThere(formatReference(reference), found);
  await using archive = await openBytes(blobSource(registry, layer), `the layer of ${formatReference(reference)}`, {
    keep: keepForFacts,
    signal: context.signal,
    budget: Budget.withoutClock(),
  });
  return { facts: await archiveFacts(archive), origin: originIn(context, reference, found), digest: found.digest };
}

function originIn({ emit }: Context, reference: Reference, { annotations }: FoundManifest): Origin {
  const kernel = string(annotations["org.criu.checkpoint.host.kernel"]);
  const { pod, notIncluded } = podIn(string(annotations[POD_ANNOTATION]));
  if (notIncluded.length > 0) {
    emit({
      kind: "warning",
      text: say`${formatReference(reference)} does not include the values of environment variables (${notIncluded.join(", ")}): restored processes have them in memory, but programs and containers that start later do not; a restore from the archive with its record has them all`,
    });
  }
  return { ...(pod === undefined ? {} : { pod }), ...(kernel === "" ? {} : { kernel }) };
}

function podIn(text: string): { readonly pod?: Json; readonly notIncluded: readonly string[] } {
  if (text === "") return { notIncluded: [] };
  try {
    return podOfText(text);
  } catch {
    return { notIncluded: [] };
  }
}

function notThere(reference: string, found: FoundManifest | undefined): UserError {
  const fix = command`kubectl checkpoint image FILE ${reference} --push`;
  if (found === undefined)
    return new UserError({ reason: "ImageNotFound", message: say`image ${reference} not found`, fix: say`push it first: ${fix}` });
  return new UserError({
    reason: "NotACheckpoint",
    message: say`${reference} is not the image of a checkpoint`,
    why: "it has none of the annotations that runtimes look for",
    fix,
  });
}
