import { list, object } from "../../model/json.ts";
import { text, time, type EngineFiles } from "./files.ts";
import type { CheckpointInfo, VolumeMount } from "./info.ts";

/** What every engine writes under the same names (checkpointctl's library, which containerd and CRI-O use; Podman's differs). */
export function common({ config, spec, annotations }: EngineFiles): CheckpointInfo {
  const named = kubernetesName(text(config["name"]));
  return {
    engine: undefined,
    runtime: text(config["runtime"]),
    namespace: named?.namespace,
    pod: named?.pod,
    podUID: named?.podUID,
    container: named === undefined ? text(config["name"]) : named.container,
    containerID: text(config["id"]),
    restartCount: named?.restartCount,
    image: text(config["rootfsImageName"]) ?? text(config["rootfsImage"]),
    imageID: text(config["rootfsImageRef"]),
    createdAt: time(config["createdTime"]),
    startedAt: undefined,
    checkpointedAt: time(config["checkpointedTime"]),
    ips: [],
    macs: [],
    networks: [],
    annotations,
    command: list(object(spec["process"])["args"]).filter((word) => typeof word === "string"),
    volumes: spec["mounts"] === undefined ? undefined : volumes(spec["mounts"]),
  };
}

/** The CRI's name of a container: "container_pod_namespace_uid_attempt", in CRI-O after "k8s_". None of its parts can hold a "_". */
function kubernetesName(name: string | undefined) {
  const [, container, pod, namespace, podUID, attempt] = /^(?:k8s_)?([^_]+)_([^_]+)_([^_]+)_([^_]+)_(\d{1,9})$/.exec(name ?? "") ?? [];
  return container === undefined ? undefined : { container, pod, namespace, podUID, restartCount: Number(attempt) };
}

/** What the engines themselves mount into every container. */
const OWN_MOUNTS = new Set([
  "/etc/hosts",
  "/etc/hostname",
  "/etc/resolv.conf",
  "/dev/shm",
  "/dev/mqueue",
  "/run/.containerenv",
  "/run/secrets",
  "/sys/fs/cgroup",
]);

/** The kubelet's directory of a volume: …/pods/UID/volumes/kubernetes.io~KIND/NAME, or …/pods/UID/volume-subpaths/NAME. */
const KUBELET_VOLUME = /\/pods\/[^/]+\/(?:volumes\/([^/]+)|volume-subpaths)\/([^/]+)/;
/** …/pods/UID/containers/NAME/ID: where the kubelet keeps the termination message. */
const TERMINATION_LOG = /\/pods\/[^/]+\/containers\/[^/]+\/[^/]+$/;

function volumes(mounts: unknown): VolumeMount[] {
  return list(mounts).flatMap((mount) => {
    const { type, destination, source } = object(mount);
    const path = text(destination);
    const from = text(source);
    if (type !== "bind" || path === undefined || from === undefined || OWN_MOUNTS.has(path) || TERMINATION_LOG.test(from)) return [];
    const [, kind, name] = KUBELET_VOLUME.exec(from) ?? [];
    return [{ path, source: from, name, kind: kind?.replace(/^kubernetes\.io~/, ""), member: undefined }];
  });
}
