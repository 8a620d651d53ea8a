import { list, object } from "../../model/json.ts";
import type { Archive } from "../archive.ts";
import { common } from "./common.ts";
import { iso, text, type EngineFiles } from "./files.ts";
import type { CheckpointInfo, VolumeMount } from "./info.ts";

/** Podman writes its own container configuration, without the time of the checkpoint: CRIU's inventory was written at it. */
export function podman(files: EngineFiles): CheckpointInfo {
  const { config, networks, archive } = files;
  const base = common(files);
  const inventory = archive.members.get("checkpoint/inventory.img") ?? archive.members.get("pre-checkpoint/inventory.img");
  const interfaces = Object.values(networks).flatMap((network) => Object.values(object(object(network)["interfaces"])).map(object));
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
    ips: interfaces.flatMap((one) => list(one["subnets"]).flatMap((subnet) => text(object(subnet)["ipnet"]) ?? [])).map(withoutPrefix),
    macs: interfaces.flatMap((one) => text(one["mac_address"]) ?? []),
    volumes: base.volumes && [...base.volumes.filter(({ path }) => !isNamed(config, path)), ...namedVolumes(config, archive)],
  };
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
