import { text } from "node:stream/consumers";
import { ApiFailure } from "../../../cluster/answer.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import type { Container, Pod } from "../../../cluster/pods.ts";
import { exec } from "../../../helper/exec.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import type { FlowContext } from "../../context.ts";

const SHARED = new Set(["ReadWriteMany", "ReadOnlyMany"]);
const MIRROR = "kubernetes.io/config.mirror";

/** What a move would lose or leave behind, a sentence each: reasons to refuse it. */
export async function obstacles(context: FlowContext, pod: Pod, container: Container): Promise<string[]> {
  const others = pod.containers.filter(({ kind, name }) => kind === "container" && name !== container.name).map(({ name }) => name);
  return [
    ...ofOwner(pod),
    ...(others.length === 0 ? [] : [`only container ${container.name} is moved with its memory: ${others.join(", ")} starts anew`]),
    ...(await ofClaims(context, pod)),
    ...ofEphemeral(pod),
    ...(await ofScratch(context, pod)),
  ];
}

/** Throws MoveRefused. */
export function refuse({ name }: Pod, found: readonly string[]): void {
  if (found.length === 0) return;
  throw new UserError({
    reason: "MoveRefused",
    message: `pod/${name} does not move without a loss`,
    why: found.join("\n"),
    fix: "if that may be, give --force",
  });
}

function ofOwner({ object: pod }: Pod): string[] {
  const metadata = object(pod["metadata"]);
  if (object(metadata["annotations"])[MIRROR] !== undefined)
    return ["it is a static pod: the kubelet makes it again from a file on its node"];
  const owner = list(metadata["ownerReferences"])
    .map(object)
    .find(({ controller }) => controller === true);
  if (owner === undefined) return [];
  return [`it belongs to ${string(owner["kind"])}/${string(owner["name"])}, which would replace it when it is deleted`];
}

async function ofClaims({ connection }: FlowContext, { namespace, object: pod }: Pod): Promise<string[]> {
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
          : [`its volume ${claim} is ${modes.join(", ")}: only one node can have it at a time`];
      } catch (error) {
        if (!(error instanceof ApiFailure)) throw error;
        return [`whether two nodes can have its volume ${claim} cannot be told: ${error.message}`];
      }
    }),
  );
  return found.flat();
}

/** Each pod has claims of its own for them. */
function ofEphemeral({ object: pod }: Pod): string[] {
  return volumesOf(pod)
    .filter(({ ephemeral }) => object(ephemeral)["volumeClaimTemplate"] !== undefined)
    .map(({ name }) => `its ephemeral volume ${string(name)} stays behind, and is deleted with the original`);
}

/** What is in an emptyDir stays behind. Its containers are asked: the kubelet's own counts are a minute old. */
async function ofScratch(context: FlowContext, pod: Pod): Promise<string[]> {
  const names = volumesOf(pod.object)
    .filter((volume) => volume["emptyDir"] !== undefined)
    .map(({ name }) => string(name));
  const found = await Promise.all(names.map(async (name) => await filled(context, pod, name)));
  return found.flat();
}

async function filled({ connection }: FlowContext, pod: Pod, volume: string): Promise<string[]> {
  const specs = list(object(pod.object["spec"])["containers"]).map(object);
  const places = specs.flatMap((spec) =>
    list(spec["volumeMounts"])
      .map(object)
      .filter((mount) => mount["name"] === volume && mount["subPath"] === undefined && mount["subPathExpr"] === undefined)
      .map((mount) => ({ container: string(spec["name"]), path: string(mount["mountPath"]) })),
  );
  let why = "no container has it mounted as a whole";
  for (const { container, path } of places) {
    try {
      const { stdout, ended } = await exec(connection, pod, container, ["ls", "-A", path]);
      const listed = await text(stdout);
      const { exitCode, stderr } = await ended;
      if (exitCode === 0) return listed.trim() === "" ? [] : [`its emptyDir ${volume} has files in it, which are not in a checkpoint`];
      why = stderr.trim() || `ls ended with exit status ${exitCode}`;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      why = error.why ?? error.message;
    }
  }
  return [`whether its emptyDir ${volume} has files in it, which are not in a checkpoint, cannot be told: ${why}`];
}

function volumesOf(pod: Json): Json[] {
  return list(object(pod["spec"])["volumes"]).map(object);
}
