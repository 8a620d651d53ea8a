import { common } from "./common.ts";
import type { EngineFiles } from "./files.ts";
import type { CheckpointInfo } from "./info.ts";

/** CRI-O keeps what it knows in the specification's annotations. */
export function crio(files: EngineFiles): CheckpointInfo {
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
