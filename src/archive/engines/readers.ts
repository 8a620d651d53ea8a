import { list, object, type Json } from "../../model/json.ts";
import type { Archive } from "../archive.ts";
import { common } from "./common.ts";
import { iso, nanoseconds, text, texts, type EngineFiles } from "./files.ts";
import type { CheckpointInfo, Engine, NetworkInfo, VolumeMount } from "./info.ts";

/** How each engine tells of its container. */
export const READERS: Readonly<Record<Engine, (files: EngineFiles) => CheckpointInfo>> = { containerd, "cri-o": crio, podman };

/** containerd's CRI plugin. 2.0 writes no status.dump: the specification's annotations tell most of it. */
function containerd(files: EngineFiles): CheckpointInfo {
  const { annotations, status } = files;
  const base = common(files);
  const labels = texts(status["labels"]);
  const kubelet = texts(status["annotations"]);
  const restarts = kubelet["io.kubernetes.container.restartCount"];
  return {
    ...base,
    engine: "containerd",
    namespace: annotations["io.kubernetes.cri.sandbox-namespace"] ?? labels["io.kubernetes.pod.namespace"] ?? base.namespace,
    pod: annotations["io.kubernetes.cri.sandbox-name"] ?? labels["io.kubernetes.pod.name"] ?? base.pod,
    podUID: annotations["io.kubernetes.cri.sandbox-uid"] ?? labels["io.kubernetes.pod.uid"] ?? base.podUID,
    // Of a container that was itself restored, containerd's specification says that it is called "containerd".
    container: text(object(status["metadata"])["name"]) ?? base.container ?? annotations["io.kubernetes.cri.container-name"],
    restartCount: /^\d{1,9}$/.test(restarts ?? "") ? Number(restarts) : base.restartCount,
    image: text(object(status["image"])["image"]) ?? base.image ?? annotations["io.kubernetes.cri.image-name"],
    imageID: text(status["image_ref"]) ?? base.imageID,
    startedAt: nanoseconds(status["started_at"]),
    annotations: { ...kubelet, ...annotations },
  };
}

/** CRI-O keeps what it knows in the specification's annotations. */
function crio(files: EngineFiles): CheckpointInfo {
  const { annotations } = files;
  const base = common(files);
  return {
    ...base,
    engine: "cri-o",
    namespace: annotations["io.kubernetes.pod.namespace"] ?? base.namespace,
    pod: annotations["io.kubernetes.pod.name"] ?? base.pod,
    podUID: annotations["io.kubernetes.pod.uid"] ?? base.podUID,
    container: annotations["io.kubernetes.container.name"] ?? base.container,
    image: annotations["io.kubernetes.cri-o.ImageName"] ?? base.image,
    ips: Object.entries(annotations).flatMap(([key, value]) => (key.startsWith("io.kubernetes.cri-o.IP.") ? [value] : [])),
  };
}

/** Podman writes its own container configuration, without the time of the checkpoint: CRIU's inventory was written at it. */
function podman(files: EngineFiles): CheckpointInfo {
  const { config, networks, archive } = files;
  const base = common(files);
  const inventory = archive.members.get("checkpoint/inventory.img") ?? archive.members.get("pre-checkpoint/inventory.img");
  const interfaces = interfacesIn(networks);
  return {
    ...base,
    engine: "podman",
    // Podman's pods are known by an ID alone, and namespaces it has none.
    namespace: undefined,
    pod: text(config["pod"]),
    podUID: undefined,
    container: text(config["name"]),
    restartCount: undefined,
    image: text(config["rootfsImageName"]) ?? text(config["RawImageName"]),
    imageID: text(config["rootfsImageID"]),
    checkpointedAt: base.checkpointedAt ?? (inventory === undefined ? undefined : iso(inventory.modifiedAt * 1000)),
    ips: interfaces.flatMap(({ addresses }) => addresses).map(withoutPrefix),
    macs: interfaces.flatMap(({ mac }) => mac ?? []),
    networks: interfaces,
    volumes: base.volumes && [...base.volumes.filter(({ path }) => !isNamed(config, path)), ...namedVolumes(config, archive)],
  };
}

/** network.status: by network and interface, subnets with the container's address in each. */
function interfacesIn(networks: Json): NetworkInfo[] {
  return Object.entries(networks).flatMap(([name, network]) =>
    Object.entries(object(object(network)["interfaces"])).map(([label, value]) => {
      const { subnets, mac_address: mac } = object(value);
      const parts = list(subnets).map(object);
      return {
        name,
        interface: label,
        addresses: parts.flatMap(({ ipnet }) => text(ipnet) ?? []),
        gateways: parts.flatMap(({ gateway }) => text(gateway) ?? []),
        mac: text(mac),
      };
    }),
  );
}

function withoutPrefix(network: string): string {
  return network.replace(/\/\d+$/, "");
}

function isNamed(config: EngineFiles["config"], path: string): boolean {
  return list(config["namedVolumes"]).some((volume) => object(volume)["dest"] === path);
}

/** Named volumes travel in the archive, unless it was made with --ignore-volumes. */
function namedVolumes(config: EngineFiles["config"], { members }: Archive): VolumeMount[] {
  return list(config["namedVolumes"]).flatMap((volume) => {
    const { volumeName, dest } = object(volume);
    const name = text(volumeName);
    const path = text(dest);
    if (name === undefined || path === undefined) return [];
    const member = `volumes/${name}.tar`;
    return [{ path, source: name, name, kind: "named", member: members.has(member) ? member : undefined }];
  });
}
