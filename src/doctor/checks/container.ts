import { isRunning } from "../../cluster/pods.ts";
import { outlastsProbe, overfillsDisk, pausedSeconds } from "../../kubelet/forecast.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { command, joined, say } from "../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../model/units.ts";
import type { ContainerFacts } from "../facts/pod.ts";
import { fail, ok, skip, warn, type Check } from "../finding.ts";

const GPU = /(^|\.)(nvidia|amd|intel|habana|google)\.com\/(.*gpu|gpu.*|tpu|gaudi|mig-.*)$/i;

export const CONTAINER_CHECKS: readonly Check<ContainerFacts>[] = [
  {
    name: "running",
    decides: ["checkpoint"],
    judge: ({ container, pod }) => {
      if (isRunning(container)) return ok(say`running on ${pod.node}`);
      return fail(
        "not running: only running containers can be checkpointed",
        command`kubectl describe pod ${pod.name} -n ${pod.namespace}`,
      );
    },
  },
  {
    name: "size",
    decides: ["checkpoint"],
    judge: ({ forecast, runtimeTimeoutMs }) => {
      const { memoryBytes, roomBytes, unknown } = forecast;
      if (memoryBytes === undefined)
        return skip(
          unknown === "absent"
            ? "how much memory it has is not known yet: the kubelet has no figures of it, as in the first seconds of a container"
            : unknown === "unanswered"
              ? "how much memory it has is unknown: the kubelet did not answer in time"
              : "how much memory it has cannot be read (this needs get nodes/proxy)",
        );
      const expected = `about ${formatBytes(memoryBytes)}, paused for up to about ${formatSeconds(pausedSeconds(memoryBytes))}`;
      if (overfillsDisk(forecast))
        return warn(
          `${expected}; the disk has ${formatBytes(roomBytes ?? 0)} above its eviction threshold, and twice the archive is needed`,
          command`free space on the node: kubectl checkpoint prune -A --keep 1`,
        );
      if (runtimeTimeoutMs !== undefined && pausedSeconds(memoryBytes) * 1000 > runtimeTimeoutMs)
        return warn(
          `${expected}; that is more than the kubelet's runtimeRequestTimeout allows`,
          "in the kubelet's configuration on the node: a longer runtimeRequestTimeout",
        );
      return ok(expected);
    },
  },
  {
    name: "liveness-probe",
    decides: ["checkpoint"],
    judge: ({ forecast, container: { livenessProbe } }) => {
      if (livenessProbe === undefined) return ok("none");
      const patience = formatSeconds(livenessProbe.periodSeconds * livenessProbe.failureThreshold);
      if (forecast.memoryBytes === undefined) return skip(`it tolerates ${patience}; how long the pause takes is unknown`);
      return outlastsProbe(forecast, livenessProbe)
        ? warn(
            `the pause may outlast it (${patience}): the kubelet would restart the container`,
            "a longer periodSeconds or failureThreshold in the pod while checkpoints are taken",
          )
        : ok(`it tolerates ${patience}`);
    },
  },
  {
    name: "gpu",
    decides: ["checkpoint"],
    judge: ({ spec }) => {
      const resources = Object.keys(object(object(spec["resources"])["limits"])).filter((name) => GPU.test(name));
      return resources.length === 0
        ? undefined
        : warn(
            say`it asks for a GPU (${joined(resources, ", ")}), whose state CRIU has only with a plugin`,
            "on the node: CRIU's CUDA or AMD GPU plugin (criu#2397)",
          );
    },
  },
  {
    name: "namespaces",
    decides: ["checkpoint"],
    judge: ({ pod }) => {
      const spec = object(pod.object["spec"]);
      const shared = [
        ...(spec["hostIPC"] === true ? ["hostIPC: the node's IPC objects are not dumped"] : []),
        ...(spec["hostPID"] === true ? ["hostPID: processes of the node are around"] : []),
        ...(spec["shareProcessNamespace"] === true
          ? ["shareProcessNamespace: processes that have become daemons are not in the archive"]
          : []),
      ];
      return shared.length === 0 ? undefined : warn(shared.join("; "), "remove it from the pod where the pod does not need it");
    },
  },
  {
    name: "mounts",
    decides: ["restore"],
    judge: ({ pod, spec }) => {
      const host = hostPaths(pod.object, spec);
      if (host.includes("/dev/fuse")) return warn("/dev/fuse: CRIU does not dump what serves FUSE", "leave FUSE to another container");
      return host.length === 0
        ? undefined
        : warn(
            say`paths of the node are mounted (${joined(host, ", ")}): they are not in the archive, and must be there where it is restored`,
          );
    },
  },
];

/** Paths of the node that are mounted into the container. */
function hostPaths(pod: Json, spec: Json): string[] {
  const mounted = new Set(list(spec["volumeMounts"]).map((mount) => string(object(mount)["name"])));
  const volumes = list(object(pod["spec"])["volumes"]).map(object);
  return volumes.flatMap((volume) => {
    const path = string(object(volume["hostPath"])["path"]);
    return path !== "" && mounted.has(string(volume["name"])) ? [path] : [];
  });
}
