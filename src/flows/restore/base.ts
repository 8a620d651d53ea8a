import { callJson } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
import { command, joined, say, type Phrase, type Text } from "../../model/phrase.ts";
import { parseReference, type Reference } from "../../image/reference.ts";
import { findManifest } from "../../image/registry/manifests.ts";
import { alwaysPullsBase } from "../../restore/runtimes.ts";
import type { Needs } from "./image/facts.ts";
import { registryFor, type RegistrySettings } from "./image/registries.ts";
import type { FlowContext } from "../context.ts";
import type { TargetNode } from "./nodes.ts";

/** A node's status names so many images at most (the kubelet's nodeStatusMaxImages). */
const LISTED_IMAGES = 50;

/**
 * Whether the nodes have, or can get, the image that the container was created from: a restore needs it. Answers with what is not known
 * from here; throws a UserError where it is sure to fail.
 */
export async function checkBaseImage(
  context: FlowContext,
  { info }: Needs,
  nodes: readonly TargetNode[],
  settings: RegistrySettings,
): Promise<Phrase[]> {
  const { imageID, image } = info;
  const name = imageID ?? image;
  if (name === undefined) return [say`the archive does not name the image that its container was created from`];
  if (info.engine === "cri-o") return await presentOn(context, nodes, [image, imageID]);
  const pulls =
    nodes.length === 0 ||
    nodes.some((node) => (node.runtime !== undefined && alwaysPullsBase(node.runtime)) || !node.images.includes(name));
  if (!pulls) return [];
  if (/^(sha256:)?[0-9a-f]{64}$/.test(name)) {
    throw new UserError({
      reason: "BaseImageNotPulled",
      message:
        "the image that the container was created from was imported into its node and has no name to pull it by; nothing was created",
      why: say`the archive names it ${name}`,
      fix: "run the container from an image of a registry, and take a new checkpoint",
    });
  }
  return await pullable(context, name, settings);
}

/** CRI-O looks for the image by its ID, and never pulls it. */
async function presentOn(context: FlowContext, nodes: readonly TargetNode[], names: readonly (string | undefined)[]): Promise<Phrase[]> {
  const name = names.find((one) => one !== undefined) ?? "";
  const digests = names.flatMap((one) => /@sha256:[0-9a-f]{64}$/.exec(one ?? "")?.[0] ?? []);
  const isIt = (one: string): boolean => names.includes(one) || digests.some((digest) => one.endsWith(digest));
  const lacking: TargetNode[] = [];
  for (const node of nodes) {
    // The kubelet may take a minute to list an image; that of a container it names at once.
    if (!node.images.some(isIt) && !(await imagesOfPods(context, node.name)).some(isIt)) lacking.push(node);
  }
  if (lacking.length === 0) return [];
  const where = joined(
    lacking.map((node) => node.name),
    ", ",
  );
  if (lacking.length < nodes.length || lacking.some(({ imageCount }) => imageCount >= LISTED_IMAGES))
    return [say`${where} may not have the base image ${name}: CRI-O does not pull it for a restore`];
  throw new UserError({
    reason: "BaseImageMissing",
    message: say`${where} does not have the base image ${name}; nothing was created`,
    why: "CRI-O restores a container only where the image is that it was created from, and does not pull it",
    fix: say`pull it, and rerun a minute later: on ${lacking[0]?.name ?? ""}, ${command`crictl pull ${name}`}. A running pod with that image works as well`,
  });
}

async function imagesOfPods({ connection, signal }: FlowContext, node: string): Promise<string[]> {
  const path = apiPath`/api/v1/pods?fieldSelector=${`spec.nodeName=${node}`}`;
  // Not everybody may list the pods of all namespaces.
  const pods = await callJson(connection, { path, signal }).catch(() => ({}));
  return list(object(pods)["items"]).flatMap((pod) =>
    list(object(object(pod)["status"])["containerStatuses"]).flatMap((status) => [
      string(object(status)["image"]),
      string(object(status)["imageID"]),
    ]),
  );
}

/** As containerd pulls it: without credentials. */
async function pullable(context: Context, name: string, settings: RegistrySettings): Promise<Phrase[]> {
  let reference: Reference;
  try {
    reference = parseReference(name);
  } catch {
    return [say`the base image ${name} is not a valid image reference`];
  }
  try {
    await using registry = await registryFor(context, { ...settings, plainHttp: false }, reference, "pull", true);
    if ((await findManifest(registry)) !== undefined) return [];
  } catch (error) {
    if (!(error instanceof UserError) || error.exitCode === 2) throw error;
    if (/^RegistryLogin|^RegistryForbidden/.test(error.reason))
      throw notPulled(name, "its registry requires a login, and containerd pulls it without one", error);
    if (error.reason === "RegistryPlainHttp") throw notPulled(name, "its registry does not use TLS, and containerd requires it", error);
    return [say`whether the nodes can pull the base image ${name} is unknown: ${error.whole}`];
  }
  throw notPulled(name, "it is not in its registry any more");
}

function notPulled(name: string, why: Text, cause?: unknown): UserError {
  return new UserError({
    reason: "BaseImageNotPulled",
    message: say`no node can pull ${name}, the image that the container was created from; nothing was created`,
    why,
    fix: "containerd pulls it by itself when it restores, without the kubelet's pull secrets; 2.2 and later do not if the node has it: pull it there first",
    cause,
  });
}
