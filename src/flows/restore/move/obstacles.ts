import { text } from "node:stream/consumers";
import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import type { Container, Pod } from "../../../cluster/pods.ts";
import { exec } from "../../../helper/exec.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { joined, say, type Phrase } from "../../../model/phrase.ts";
import type { FlowContext } from "../../context.ts";

const SHARED = new Set(["ReadWriteMany", "ReadOnlyMany"]);
const MIRROR = "kubernetes.io/config.mirror";

/** What a move would lose or leave behind: reasons to refuse it. */
export async function obstacles(context: FlowContext, pod: Pod, container: Container): Promise<Phrase[]> {
  const others = pod.containers.filter(({ kind, name }) => kind === "container" && name !== container.name).map(({ name }) => name);
  const owner = ownerOf(pod);
  return [
    ...(isStatic(pod) ? [say`it is a static pod: the kubelet creates it again from a file on its node`] : []),
    ...(owner === undefined ? [] : [say`it belongs to ${owner}, which replaces it when it is deleted`]),
    ...(others.length === 0
      ? []
      : [say`only container ${container.name} is moved with its memory; started from the beginning: ${joined(others, ", ")}`]),
    ...ofResourceClaims(pod),
    ...(await ofClaims(context, pod)),
    ...ofEphemeral(pod),
    ...(await ofScratch(context, pod)),
  ];
}

/** Throws MoveRefused. */
export function refuse({ name }: Pod, found: readonly Phrase[]): void {
  if (found.length === 0) return;
  throw new UserError({
    reason: "MoveRefused",
    message: say`pod/${name} cannot be moved without a loss; nothing was done`,
    why: joined(found, "\n"),
    fix: "rerun with --force to move it although this is lost",
  });
}

/** Throws MoveRefused: without its labels, a pod is not its controller's any more. */
export function refuseQuiesce(pod: Pod): void {
  const owner = ownerOf(pod);
  if (owner === undefined) return;
  throw new UserError({
    reason: "MoveRefused",
    message: say`--quiesce cannot be used for pod/${pod.name}; nothing was done`,
    why: say`it belongs to ${owner}, which replaces it as soon as its labels are taken off`,
    exitCode: 2,
  });
}

function isStatic({ object: pod }: Pod): boolean {
  return object(object(pod["metadata"])["annotations"])[MIRROR] !== undefined;
}

/** "ReplicaSet/web": its controller. */
function ownerOf(pod: Pod): string | undefined {
  if (isStatic(pod)) return undefined;
  const owner = list(object(pod.object["metadata"])["ownerReferences"])
    .map(object)
    .find(({ controller }) => controller === true);
  return owner === undefined ? undefined : `${string(owner["kind"])}/${string(owner["name"])}`;
}

/** A claim of its own, not one that is made for each pod: its devices are those of the node. */
function ofResourceClaims({ object: pod }: Pod): Phrase[] {
  return list(object(pod["spec"])["resourceClaims"])
    .map((claim) => string(object(claim)["resourceClaimName"]))
    .filter((claim) => claim !== "")
    .map((claim) => say`its resource claim ${claim} is for devices of its node`);
}

async function ofClaims({ connection }: FlowContext, { namespace, object: pod }: Pod): Promise<Phrase[]> {
  const claims = volumesOf(pod).flatMap((volume) => string(object(volume["persistentVolumeClaim"])["claimName"]) || []);
  const found = await Promise.all(
    claims.map(async (claim) => {
      try {
        const { spec } = object(
          await callJson(connection, { path: apiPath`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claim}` }),
        );
        const modes = list(object(spec)["accessModes"]).map(string);
        return modes.some((mode) => SHARED.has(mode))
          ? []
          : [say`its volume ${claim} is ${joined(modes, ", ")}: only one node can use it at a time`];
      } catch (error) {
        if (!(error instanceof ApiFailure)) throw error;
        return [say`whether two nodes can use its volume ${claim} is unknown: ${error.said.message}`];
      }
    }),
  );
  return found.flat();
}

/** Each pod has claims of its own for them. */
function ofEphemeral({ object: pod }: Pod): Phrase[] {
  return volumesOf(pod)
    .filter(({ ephemeral }) => object(ephemeral)["volumeClaimTemplate"] !== undefined)
    .map(({ name }) => say`its ephemeral volume ${string(name)} is not moved, and is deleted with the original`);
}

/** The files of an emptyDir are not moved. Its containers are asked: the kubelet's own counts are a minute old. */
async function ofScratch(context: FlowContext, pod: Pod): Promise<Phrase[]> {
  const names = volumesOf(pod.object)
    .filter((volume) => volume["emptyDir"] !== undefined)
    .map(({ name }) => string(name));
  const found = await Promise.all(names.map(async (name) => await filled(context, pod, name)));
  return found.flat();
}

async function filled({ connection }: FlowContext, pod: Pod, volume: string): Promise<Phrase[]> {
  const specs = list(object(pod.object["spec"])["containers"]).map(object);
  const places = specs.flatMap((spec) =>
    list(spec["volumeMounts"])
      .map(object)
      .filter((mount) => mount["name"] === volume && mount["subPath"] === undefined && mount["subPathExpr"] === undefined)
      .map((mount) => ({ container: string(spec["name"]), path: string(mount["mountPath"]) })),
  );
  let why: Phrase = say`no container has it mounted as a whole`;
  for (const { container, path } of places) {
    try {
      const { stdout, ended } = await exec(connection, pod, container, ["ls", "-A", path]);
      const listed = await text(stdout);
      const { exitCode, stderr } = await ended;
      if (exitCode === 0) return listed.trim() === "" ? [] : [say`its emptyDir ${volume} has files in it, which are not moved`];
      why = stderr.trim() === "" ? say`ls ended with exit status ${exitCode}` : say`${stderr.trim()}`;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      why = error.said.why ?? error.said.message;
    }
  }
  return [say`whether its emptyDir ${volume} has files in it, which are not moved, is unknown: ${why}`];
}

function volumesOf(pod: Json): Json[] {
  return list(object(pod["spec"])["volumes"]).map(object);
}
