import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { parseReference, type Reference } from "../../image/reference.ts";
import { findManifest } from "../../image/registry/repository.ts";
import { alwaysPullsBase } from "../../restore/runtimes.ts";
import type { Needs } from "./image/facts.ts";
import { registryFor, type RegistrySettings } from "./image/registries.ts";
import type { TargetNode } from "./nodes.ts";

/**
 * Whether the image that the container was made from can be had by the nodes: a restore needs it. Answers with what cannot be told
 * from here; throws a UserError where it is sure to fail.
 */
export async function checkBaseImage(
  context: Context,
  { info }: Needs,
  nodes: readonly TargetNode[],
  settings: RegistrySettings,
): Promise<Phrase[]> {
  const { imageID, image } = info;
  const name = imageID ?? image;
  if (name === undefined) return [say`the archive does not name the image that its container was made from`];
  if (info.engine === "cri-o") {
    const missing = nodes.filter((node) => ![imageID, image].some((one) => one !== undefined && node.images.includes(one)));
    return missing.length === 0
      ? []
      : [say`${missing.map((node) => node.name).join(", ")} may not have the base image ${image ?? name}: CRI-O wants it there`];
  }
  const pulls =
    nodes.length === 0 ||
    nodes.some((node) => (node.runtime !== undefined && alwaysPullsBase(node.runtime)) || !node.images.includes(name));
  if (!pulls) return [];
  if (/^(sha256:)?[0-9a-f]{64}$/.test(name)) {
    throw new UserError({
      reason: "BaseImageNotPulled",
      message: "the image that the container was made from was imported into its node, and has no name to be pulled by",
      why: `the archive names it ${name}`,
      fix: "run the container from an image of a registry, and take the checkpoint again",
    });
  }
  return await pullable(context, name, settings);
}

/** As containerd pulls it: without credentials. */
async function pullable(context: Context, name: string, settings: RegistrySettings): Promise<Phrase[]> {
  let reference: Reference;
  try {
    reference = parseReference(name);
  } catch {
    return [say`the base image ${name} is no reference of an image`];
  }
  try {
    await using registry = await registryFor(context, { ...settings, plainHttp: false }, reference, "pull", true);
    if ((await findManifest(registry)) !== undefined) return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (/^RegistryLogin|^RegistryForbidden/.test(error.reason))
      throw notPulled(name, "its registry wants a login, and containerd pulls it without one", error);
    if (error.reason === "RegistryPlainHttp")
      throw notPulled(name, "its registry does not speak TLS, and containerd does not try without", error);
    return [say`whether the nodes can pull the base image ${name} cannot be told from here: ${error.message}`];
  }
  throw notPulled(name, "it is not in its registry any more");
}

function notPulled(name: string, why: string, cause?: unknown): UserError {
  return new UserError({
    reason: "BaseImageNotPulled",
    message: `no node can pull ${name}, the image that the container was made from`,
    why,
    fix: "containerd pulls it by itself when it restores, without the kubelet's pull secrets; 2.2 and later do not where the node has it: pull it there first",
    cause,
  });
}
