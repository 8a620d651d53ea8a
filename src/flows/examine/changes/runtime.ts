import type { ChangeItem } from "../../../model/inspection.ts";

/** What a runtime makes in every container (https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-devices). */
const DEVICES = new Set(["full", "null", "random", "tty", "urandom", "zero"].map((name) => `/dev/${name}`));
const LINKS: Readonly<Record<string, string>> = {
  "/dev/core": "/proc/kcore",
  "/dev/fd": "/proc/self/fd",
  "/dev/ptmx": "pts/ptmx",
  "/dev/stderr": "/proc/self/fd/2",
  "/dev/stdin": "/proc/self/fd/0",
  "/dev/stdout": "/proc/self/fd/1",
  "/etc/mtab": "/proc/mounts",
};
/** Where it mounts something. */
const MOUNT_POINTS =
  /^\/(proc|sys|dev\/(shm|mqueue|pts|console|termination-log)|etc\/(hostname|hosts|resolv\.conf)|run\/\.containerenv|(var\/)?run\/secrets(\/.*)?)$/;
const CGROUPS = /^\/sys\/fs\/cgroup(\/[^/]+)?$/;

/** Whether it is there in every container of this image, and says nothing: a default device, a place for a mount. */
export function isOfRuntime({ path, change, type, mode, bytes, target = "" }: ChangeItem): boolean {
  if (change === "deleted") return false;
  switch (type) {
    case "other":
      return DEVICES.has(path) && mode === "0666";
    case "symlink":
      return LINKS[path] === target || (CGROUPS.test(path) && /^[\w,]+$/.test(target));
    case "directory":
      return MOUNT_POINTS.test(path) || CGROUPS.test(path);
    case "file":
      return MOUNT_POINTS.test(path) && bytes === 0;
    default:
      return false;
  }
}
