import type { Container, Pod } from "../../cluster/pods.ts";
import type { Helpers } from "../../helper/helpers.ts";
import type { Forecast } from "../../kubelet/forecast.ts";
import { list, object, string, type Json } from "../../model/json.ts";

/** What is known of a container that is to be checkpointed. */
export interface ContainerFacts {
  readonly pod: Pod;
  readonly container: Container;
  /** Its part of the pod's spec. */
  readonly spec: Json;
  readonly forecast: Forecast;
  /** Milliseconds that the kubelet gives its runtime; undefined where it may not be read. */
  readonly runtimeTimeoutMs: number | undefined;
  /** Undefined without --deep, or where its processes cannot be seen. */
  readonly processes: Processes | undefined;
}

/** What a container's processes have open. */
export interface Processes {
  readonly count: number;
  readonly established: number;
  /** False where the helper image cannot tell open files (no readlink): then connections are the whole pod's. */
  readonly own: boolean;
  readonly ioUring: boolean;
  /** "/dev/nvidia0"; those that every container has are left out. */
  readonly devices: readonly string[];
  /** Where FUSE file systems are mounted. */
  readonly fuse: readonly string[];
}

export function specOf(pod: Pod, container: Container): Json {
  const spec = object(pod.object["spec"]);
  const all = ["initContainers", "containers", "ephemeralContainers"].flatMap((key) => list(spec[key]).map(object));
  return all.find((one) => string(one["name"]) === container.name) ?? {};
}

/** Throws a UserError where the node cannot be asked; undefined where the container has no ID, or no process of it was found. */
export async function askProcesses(helpers: Helpers, node: string, { containerID }: Container): Promise<Processes | undefined> {
  const id = /^[a-z-]+:\/\/([0-9a-f]+)$/.exec(containerID)?.[1];
  if (id === undefined) return undefined;
  await using host = helpers.directory(node, "host", "/");
  return parseProcesses(await host.lines(["processes", id]));
}

const ORDINARY = /^\/dev\/(null|zero|full|u?random|tty|ptmx|pts\/\d+|console|shm\/.*|mqueue\/.*|stdin|stdout|stderr)( \(deleted\))?$/;

/** Of the operation processes. Undefined where there is none. */
export function parseProcesses(lines: readonly string[]): Processes | undefined {
  const of = (word: string): string[] => lines.flatMap((line) => (line.startsWith(`${word} `) ? line.slice(word.length + 1) : []));
  const count = of("process").length;
  if (count === 0) return undefined;
  const files = new Set(of("file"));
  const own = of("looked").includes("files");
  // 01 is TCP_ESTABLISHED.
  const established = new Set(of("tcp").flatMap((line) => /^01 ([1-9]\d*)$/.exec(line)?.[1] ?? []));
  const mounts = of("mount").map((line) => line.split(" "));
  return {
    count,
    established: [...established].filter((inode) => !own || files.has(`socket:[${inode}]`)).length,
    own,
    ioUring: files.has("anon_inode:[io_uring]"),
    devices: [...files].filter((file) => file.startsWith("/dev/") && !ORDINARY.test(file)).sort(),
    fuse: [...new Set(mounts.filter(([, type = ""]) => /^fuse(\.|$)/.test(type)).map(([path = ""]) => path))],
  };
}
