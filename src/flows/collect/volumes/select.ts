import { posix } from "node:path";
import { UserError, usageError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { joined, say } from "../../../model/phrase.ts";

/** In bytes; more of one pod is asked about. */
export const LARGE_VOLUMES = 2 ** 30;

/** Where a container sees a volume. */
export interface VolumeMount {
  readonly container: string;
  /** In the container. */
  readonly path: string;
  readonly volume: string;
  /** What of the volume is mounted there; absent for all of it. */
  readonly subPath?: string;
}

/** Volumes of a pod that are read: their directory on the node, and where they are mounted. */
export interface ChosenVolumes {
  readonly node: string;
  readonly pod: string;
  readonly podUID: string;
  /** The kubelet's, of this pod's emptyDirs. */
  readonly directory: string;
  readonly names: readonly string[];
  readonly mounts: readonly VolumeMount[];
}

const ORDINARY = /^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$/;

/**
 * The emptyDirs of a pod, all or those of `wanted` that it has. undefined where it has none. `checkpointDir` lies in the kubelet's root
 * directory, as the pods do. Throws where a name is that of another kind of volume, and of static pods, whose directory has another name.
 */
export function chosenVolumes(pod: Json, wanted: readonly string[], checkpointDir: string): ChosenVolumes | undefined {
  const { name, uid, annotations } = object(pod["metadata"]);
  const { nodeName, volumes } = object(pod["spec"]);
  const all = list(volumes).map(object);
  const kinds = new Map(all.map((volume) => [string(volume["name"]), Object.keys(volume).find((key) => key !== "name") ?? "emptyDir"]));
  for (const one of wanted) {
    const kind = kinds.get(one);
    if (kind !== undefined && kind !== "emptyDir")
      throw usageError(say`volume ${one} of pod/${string(name)} is not an emptyDir (${kind}): --volumes copies emptyDirs`);
  }
  const names = [...kinds].flatMap(([one, kind]) => (kind === "emptyDir" && (wanted.length === 0 || wanted.includes(one)) ? [one] : []));
  if (names.length === 0) return undefined;
  const podUID = string(uid);
  // They become paths on the node.
  if (![podUID, ...names].every((one) => ORDINARY.test(one)) || object(annotations)["kubernetes.io/config.mirror"] !== undefined) {
    throw new UserError({
      reason: "VolumesUnreadable",
      message: say`the volumes of pod/${string(name)} cannot be read`,
      why: "it is a static pod, whose directory on the node is not named by its UID",
      fix: "rerun without --volumes",
    });
  }
  return {
    node: string(nodeName),
    pod: string(name),
    podUID,
    directory: `${posix.dirname(checkpointDir)}/pods/${podUID}/volumes/kubernetes.io~empty-dir`,
    names,
    mounts: mountsOf(object(pod["spec"]), names),
  };
}

/** Throws a usage error where none of these pods has a volume of one of the wanted names. */
export function ensureNamed(pods: readonly Json[], wanted: readonly string[]): void {
  const volumes = pods.flatMap((pod) => list(object(pod["spec"])["volumes"]).map(object));
  const names = new Set(volumes.map((volume) => string(volume["name"])));
  const unknown = wanted.filter((one) => !names.has(one));
  if (unknown.length === 0) return;
  const there = volumes.flatMap((volume) => (volume["emptyDir"] === undefined ? [] : [string(volume["name"])]));
  throw usageError(
    say`no volume ${joined(unknown, ", ")} in ${pods.length === 1 ? "the pod" : "these pods"}`,
    there.length === 0 ? "there are no emptyDirs: rerun without --volumes" : say`emptyDirs: ${joined([...new Set(there)], ", ")}`,
  );
}

function mountsOf(spec: Json, names: readonly string[]): VolumeMount[] {
  const containers = ["initContainers", "containers", "ephemeralContainers"].flatMap((kind) => list(spec[kind]).map(object));
  return containers.flatMap((container) =>
    list(container["volumeMounts"])
      .map(object)
      .filter((mount) => names.includes(string(mount["name"])) && mount["subPathExpr"] === undefined)
      .map((mount) => ({
        container: string(container["name"]),
        path: posix.join("/", string(mount["mountPath"]), "/").slice(0, -1) || "/",
        volume: string(mount["name"]),
        ...(string(mount["subPath"]) === "" ? {} : { subPath: posix.normalize(string(mount["subPath"])).replace(/\/$/, "") }),
      })),
  );
}
