import { isRunning } from "../../cluster/pods.ts";
import { outlastsProbe, overfillsDisk, pausedSeconds } from "../../kubelet/forecast.ts";
import { IO_URING_FIX } from "../../kubelet/criu-causes.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { formatBytes, formatSeconds } from "../../model/units.ts";
import type { ContainerFacts } from "../facts/pod.ts";
import { fail, notLookedAt, ok, skip, warn, type Check } from "../finding.ts";

/** With what the node's own configuration of CRIU allows; undefined where that is not known. */
export interface JudgedContainer extends ContainerFacts {
  readonly keepsConnections: boolean | undefined;
}

const GPU = /(^|\.)(nvidia|amd|intel|habana|google)\.com\/(.*gpu|gpu.*|tpu|gaudi|mig-.*)$/i;

export const CONTAINER_CHECKS: readonly Check<JudgedContainer>[] = [
  {
    name: "running",
    decides: ["checkpoint"],
    judge: ({ container, pod }) => {
      if (isRunning(container)) return ok(`runs on ${pod.node}`);
      return fail("does not run: only running containers can be checkpointed", `kubectl describe pod ${pod.name} -n ${pod.namespace}`);
    },
  },
  {
    name: "size",
    decides: ["checkpoint"],
    judge: ({ forecast, runtimeTimeoutMs }) => {
      const { memoryBytes, roomBytes } = forecast;
      if (memoryBytes === undefined) return skip("what it holds in memory cannot be read (it takes get nodes/proxy)");
      const expected = `about ${formatBytes(memoryBytes)}, paused for up to about ${formatSeconds(pausedSeconds(memoryBytes))}`;
      if (overfillsDisk(forecast))
        return warn(
          `${expected}; the disk has ${formatBytes(roomBytes ?? 0)} above its eviction threshold, and twice the archive is needed`,
          "make room on the node: kubectl checkpoint prune -A --keep 1",
        );
      if (runtimeTimeoutMs !== undefined && pausedSeconds(memoryBytes) * 1000 > runtimeTimeoutMs)
        return warn(
          `${expected}; the whole call takes about ${formatSeconds(pausedSeconds(memoryBytes))}, more than the kubelet's runtimeRequestTimeout`,
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
      if (forecast.memoryBytes === undefined) return skip(`it forgives ${patience}; how long the freeze takes cannot be told`);
      return outlastsProbe(forecast, livenessProbe)
        ? warn(
            `the freeze may outlast it (${patience}): the kubelet would restart the container`,
            "a longer periodSeconds or failureThreshold in the pod, for as long as checkpoints are taken",
          )
        : ok(`it forgives ${patience}`);
    },
  },
  {
    name: "gpu",
    decides: ["checkpoint"],
    judge: ({ spec, processes }) => {
      const resources = Object.keys(object(object(spec["resources"])["limits"])).filter((name) => GPU.test(name));
      const devices = processes?.devices.filter((path) => /^\/dev\/(nvidia|dri|kfd)/.test(path)) ?? [];
      const found = [...resources, ...devices];
      return found.length === 0
        ? undefined
        : warn(
            `it uses a GPU (${found.join(", ")}), whose state CRIU has with a plugin only`,
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
          ? ["shareProcessNamespace: processes that have become daemons are left out of the archive in silence"]
          : []),
      ];
      return shared.length === 0 ? undefined : warn(shared.join("; "), "leave it out of the pod, where it can be done without");
    },
  },
  {
    name: "mounts",
    decides: ["restore"],
    judge: ({ pod, spec, processes }) => {
      const host = hostPaths(pod.object, spec);
      const fuse = [...(processes?.fuse ?? []).map((path) => `FUSE at ${path}`), ...(host.includes("/dev/fuse") ? ["/dev/fuse"] : [])];
      if (fuse.length > 0) return warn(`${fuse.join(", ")}: CRIU does not dump what serves FUSE`, "leave FUSE to another container");
      return host.length === 0
        ? undefined
        : warn(`the node's own ${host.join(", ")}: not in the archive, and must be there where it is restored`);
    },
  },
  {
    name: "connections",
    decides: ["checkpoint"],
    judge: ({ processes, keepsConnections }) => {
      if (processes === undefined) return notLookedAt("only --deep can see its processes");
      const { established, own } = processes;
      const count = `${established} established TCP connection${established === 1 ? "" : "s"}${own ? "" : " in the pod"}`;
      if (established === 0 || keepsConnections === true) return ok(count);
      return fail(
        `${count}: CRIU dumps them only if it is told to`,
        "on the node: mkdir -p /etc/criu; echo tcp-established >>/etc/criu/runc.conf (crun: crun.conf)",
      );
    },
  },
  {
    name: "open-files",
    decides: ["checkpoint"],
    judge: ({ processes }) => {
      if (processes === undefined) return undefined;
      if (!processes.own) return skip("the helper image cannot tell open files (no readlink)");
      if (processes.ioUring) return fail("it uses io_uring, which CRIU cannot dump", IO_URING_FIX);
      const devices = processes.devices.filter((path) => !/^\/dev\/(nvidia|dri|kfd)/.test(path));
      return devices.length === 0
        ? ok("nothing that CRIU is known not to dump")
        : warn(`devices are open: ${devices.join(", ")}; CRIU cannot dump most`, "stop what uses them, for the time of the checkpoint");
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
