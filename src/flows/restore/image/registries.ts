import { readFile } from "node:fs/promises";
import { publicAuthorities } from "../../../cluster/authorities.ts";
import { proxyFor } from "../../../cluster/proxy.ts";
import { isPublic, serverOf, formatReference, type Reference } from "../../../image/reference.ts";
import { openRegistry, type Registry, type RegistryOptions } from "../../../image/registry/client.ts";
import { checkWritable as tryToWrite } from "../../../image/registry/blobs.ts";
import { findCredential } from "../../../image/registry/credentials.ts";
import { deleteManifest } from "../../../image/registry/manifests.ts";
import type { Context } from "../../../model/context.ts";
import { UserError } from "../../../model/error.ts";

/** How users have registries reached: --ca-file, --plain-http, --registry-config, --allow-public. */
export interface RegistrySettings {
  readonly caFile: string | undefined;
  readonly plainHttp: boolean;
  readonly registryConfig: string | undefined;
  readonly allowPublic: boolean;
}

/** The repository of a reference; closed at the end of the block that uses it. */
export async function registryFor(
  context: Context,
  settings: RegistrySettings,
  reference: Reference,
  actions: RegistryOptions["actions"],
  anonymous = false,
): Promise<Registry> {
  const { env } = context;
  const { plainHttp, registryConfig } = settings;
  const server = new URL(`${plainHttp ? "http" : "https"}://${serverOf(reference)}`);
  return openRegistry(
    {
      reference,
      plainHttp,
      actions,
      authorities: plainHttp ? undefined : await authorities(settings, env),
      proxy: proxyFor(server, undefined, env)?.url.href,
      credential: async () => (anonymous ? undefined : await findCredential(reference, registryConfig, env)),
    },
    context,
  );
}

/** Whether this user may push there, before anything is done for it: an upload is begun and cancelled. Throws a UserError where not. */
export async function checkWritable(context: Context, settings: RegistrySettings, reference: Reference): Promise<void> {
  await using registry = await registryFor(context, settings, reference, "pull,push");
  await tryToWrite(registry);
}

/**
 * Removes an image that was pushed and is of no use, by its digest. False where the registry allows that to nobody, or does not have it.
 * Throws a UserError where this user may not.
 */
export async function removeImage(context: Context, settings: RegistrySettings, reference: Reference, digest: string): Promise<boolean> {
  await using registry = await registryFor(context, settings, reference, "pull,push,delete");
  return await deleteManifest(registry, digest);
}

/** A memory dump is not pushed by accident to where everybody may read it. */
export function refusePublic(reference: Reference, { allowPublic }: RegistrySettings): void {
  if (allowPublic || !isPublic(reference)) return;
  throw new UserError({
    reason: "PublicRegistry",
    message: `${formatReference(reference)} is in a public registry`,
    why: "a checkpoint holds all memory of its processes, passwords and keys included: there, everybody may be able to read it",
    fix: "push to a registry of your own; if the repository is private, or may be read by all, give --allow-public",
    exitCode: 2,
  });
}

async function authorities({ caFile }: RegistrySettings, env: NodeJS.ProcessEnv): Promise<string[]> {
  const trusted = publicAuthorities(env);
  if (caFile === undefined) return trusted;
  try {
    const own = await readFile(caFile, "utf8");
    if (!/-----BEGIN (TRUSTED )?CERTIFICATE-----/.test(own)) throw new Error("it holds no certificate in PEM");
    return [...trusted, own];
  } catch (error) {
    throw new UserError({
      reason: "CAFileUnreadable",
      message: `--ca-file: ${caFile} cannot be used`,
      why: (error as Error).message,
      exitCode: 2,
      cause: error,
    });
  }
}
