import type { Unlock } from "../../age/open.ts";
import type { Reading } from "../../archive/archive.ts";
import type { RegistrySettings } from "../../flows/restore/image/registries.ts";
import { group, on, text, type Values } from "./flags.ts";
import type { Call } from "./verb.ts";

/** For verbs that read archives: FILE may be encrypted. */
export const READING = {
  ...group("Encryption", {
    identity: text({
      value: "FILE",
      help: "age identities that open FILE.age (default: $KUBECTL_CHECKPOINT_IDENTITY; passphrases are asked for)",
    }),
  }),
  ...group("Evidence", {
    custody: text({ value: "FILE", help: "append a line to this custody file: who did what with which archive" }),
  }),
};

const PULLING = group("Registry", {
  "ca-file": text({ value: "FILE", help: "trust the CA certificates in this PEM file, in addition to the usual ones" }),
  "plain-http": on("use HTTP without TLS: everybody on the network path can read the dump"),
  "registry-config": text({
    value: "FILE",
    help: "read credentials from this file only (default: those of Podman and Docker)",
  }),
});

/** For verbs that read archives: FILE may be encrypted, or registry:REFERENCE. */
export const PULL = { ...READING, ...PULLING };

/** For verbs that push to a registry. */
export const REGISTRY = {
  ...PULLING,
  ...group("Registry", { "allow-public": on("allow a push to Docker Hub, quay.io, ghcr.io and similar registries") }),
};

/** How registries are reached; without --allow-public, for verbs that only pull. */
export function registrySettings(
  flags: Values<typeof PULLING> & Partial<Values<typeof READING> & Values<typeof REGISTRY>>,
): ReadingSettings {
  return {
    ...(flags.identity === undefined ? {} : { identity: flags.identity }),
    ...(flags.custody === undefined ? {} : { custody: flags.custody }),
    caFile: flags["ca-file"],
    plainHttp: flags["plain-http"],
    registryConfig: flags["registry-config"],
    allowPublic: flags["allow-public"] ?? false,
  };
}

/** How archives are read. */
export interface ReadingSettings extends RegistrySettings {
  /** A file of age identities. */
  readonly identity?: string;
  /** The file that says who did what with archives. */
  readonly custody?: string;
}

/** A call that can also open registry:REFERENCE and FILE.age. What that needs is loaded when it is asked for. */
export function pulling(call: Call, settings: ReadingSettings): Call & Reading {
  let unlock: Promise<Unlock> | undefined;
  return {
    ...call,
    async unlock(header, label) {
      const identity = settings.identity ?? (call.env["KUBECTL_CHECKPOINT_IDENTITY"] || undefined);
      unlock ??= import("../../age/unlock.ts").then(({ unlocking }) => unlocking(identity, call.ask));
      return await (
        await unlock
      )(header, label);
    },
    async pull(reference, architecture) {
      const { parseReference } = await import("../../image/reference.ts");
      const { pullImage } = await import("../../flows/restore/image/pull.ts");
      return await pullImage(call, settings, parseReference(reference), architecture);
    },
  };
}

/**
 * Writes down which archives a verb reads, where --custody is given: a line for each file of this machine. A read does not fail for it: on
 * media that cannot be written, and where the chain is broken, that is a warning.
 */
export async function noted(call: Call, { custody }: ReadingSettings, action: string, files: readonly string[]): Promise<void> {
  if (custody === undefined) return;
  const { appendReads } = await import("../../flows/evidence/reads.ts");
  await appendReads(call, custody, action, files);
}
