import { DEFAULT_CAPABILITIES } from "../../model/capabilities.ts";
import { list, object, string } from "../../model/json.ts";
import { command, say } from "../../model/phrase.ts";
import { processName, type FindingKind, type ProcessFacts } from "../facts.ts";

/** Capabilities that lead out of a container, or close to it (capabilities(7)). */
const ESCAPING = new Set([
  "SYS_ADMIN",
  "SYS_MODULE",
  "SYS_PTRACE",
  "SYS_RAWIO",
  "SYS_BOOT",
  "DAC_READ_SEARCH",
  "BPF",
  "PERFMON",
  "MAC_ADMIN",
  "SYSLOG",
]);
/** Places of the node that give power over it. */
const POWERFUL_SOURCE =
  /^\/($|etc(\/|$)|root(\/|$)|home(\/|$)|proc(\/|$)|sys(\/|$)|dev(\/|$)|boot(\/|$)|usr(\/|$)|var\/log(\/|$)|var\/lib\/(kubelet|containerd|docker)\/?$|(var\/)?run\/?$)|\.sock$/;
/** What kubelet and runtimes mount of their own. */
const OWN_SOURCE = /^\/var\/lib\/(kubelet\/pods|containerd|containers|cni)\/|^\/(var\/)?run\/(containerd|containers|crio|netns)\//;

/** What a container may do more than others. */
export const POWERS: readonly FindingKind[] = [
  {
    id: "Capabilities",
    about: "Processes have capabilities that containers do not have by default",
    *find({ file, processes }) {
      const bySet = Map.groupBy(processes, (facts) => more(facts).join(", "));
      for (const [set, all] of bySet) {
        const [first] = all;
        if (set === "" || first === undefined) continue;
        const others = all.length === 1 ? "" : ` and ${all.length - 1} more`;
        yield {
          severity: more(first).some((name) => ESCAPING.has(name)) ? "medium" : "note",
          title: say`${processName(first.item)}${others} may do more than others: ${set}`,
          detail: say`with some of these a process gets out of its container`,
          command: command`kubectl checkpoint inspect ${file} --ps --pid ${first.item.pid}`,
          pid: first.item.pid,
        };
      }
    },
  },
  {
    id: "HostNamespace",
    about: "The container is in namespaces of its node",
    *find({ file, spec }) {
      const types = list(object(spec["linux"])["namespaces"]).map((one) => string(object(one)["type"]));
      if (types.length === 0) return;
      for (const type of ["pid", "network", "ipc", "mount"]) {
        if (types.includes(type)) continue;
        yield {
          severity: "medium",
          title: say`the container has the ${type} namespace of its node`,
          detail: say`it sees, and reaches, what runs on the node`,
          command: command`kubectl checkpoint extract ${file} spec.dump --to -`,
        };
      }
    },
  },
  {
    id: "HostMount",
    about: "A directory or socket of the node is mounted into the container",
    *find({ file, spec }) {
      for (const mount of list(spec["mounts"]).map(object)) {
        const [source, destination] = [string(mount["source"]), string(mount["destination"])];
        if (mount["type"] !== "bind" || !source.startsWith("/") || OWN_SOURCE.test(source)) continue;
        yield {
          severity: POWERFUL_SOURCE.test(source) ? "medium" : "note",
          title: say`${source} of the node is mounted at ${destination}${list(mount["options"]).includes("ro") ? ", read-only" : ""}`,
          detail: say`what is written there stays on the node`,
          command: command`kubectl checkpoint inspect ${file} --mounts`,
          path: destination,
        };
      }
    },
  },
];

/** What a process has more than others do. */
function more({ item }: ProcessFacts): string[] {
  const sets = item.threads.flatMap(({ credentials }) =>
    credentials === undefined ? [] : [...credentials.capabilities.effective, ...credentials.capabilities.permitted],
  );
  return [...new Set(sets)].filter((name) => !DEFAULT_CAPABILITIES.has(name)).sort();
}
