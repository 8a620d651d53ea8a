import { object } from "../../model/json.ts";
import { common } from "./common.ts";
import { nanoseconds, text, texts, type EngineFiles } from "./files.ts";
import type { CheckpointInfo } from "./info.ts";

/** containerd's CRI plugin. 2.0 writes no status.dump: the specification's annotations tell most of it. */
export function containerd(files: EngineFiles): CheckpointInfo {
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
