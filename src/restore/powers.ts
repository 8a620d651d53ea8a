import { list, number, object, string, type Json } from "../model/json.ts";

/** Something that a pod may do beyond its own containers. */
export interface Power {
  /** "container web is privileged". */
  readonly what: string;
  /** Whether it leads out of a sandbox that has neither network nor token. */
  readonly escapes: boolean;
}

const HOST_NAMESPACES: Readonly<Record<string, string>> = {
  hostNetwork: "it is on the node's network (hostNetwork)",
  hostPID: "it sees the node's processes (hostPID)",
  hostIPC: "it shares the node's memory segments (hostIPC)",
};

/** What runtimes give a container by themselves. */
const DEFAULT_CAPABILITIES = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);
/** More than that, but no further than the container's own namespaces. */
const CONFINED_CAPABILITIES = new Set(["NET_ADMIN", "NET_BROADCAST", "IPC_LOCK", "SYS_NICE", "SYS_PTRACE"]);
const SELINUX_TYPES = new Set(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]);

/**
 * What of a pod gives power over its node, or over the cluster: what the baseline of the Pod Security Standards forbids
 * (https://kubernetes.io/docs/concepts/security/pod-security-standards/), and a service account of its own.
 */
export function powersOf(pod: Json): Power[] {
  const spec = object(pod["spec"]);
  const containers = [...list(spec["initContainers"]), ...list(spec["containers"])].map(object);
  return [
    ...Object.entries(HOST_NAMESPACES).flatMap(([field, what]) => (spec[field] === true ? [{ what, escapes: true }] : [])),
    ...list(spec["volumes"]).map(object).flatMap(ofVolume),
    ...containers.flatMap((container) => ofContainer(container, spec["hostNetwork"] === true)),
    ...ofConfinement("the pod", object(spec["securityContext"])),
    ...ofServiceAccount(spec),
  ];
}

function ofVolume(volume: Json): Power[] {
  const path = string(object(volume["hostPath"])["path"]);
  return path === "" ? [] : [{ what: `its volume ${string(volume["name"])} is ${path} of the node (hostPath)`, escapes: true }];
}

function ofContainer(container: Json, hostNetwork: boolean): Power[] {
  const who = `container ${string(container["name"])}`;
  const security = object(container["securityContext"]);
  const added = list(object(security["capabilities"])["add"]).map(string);
  const more = added.filter((name) => !DEFAULT_CAPABILITIES.has(name));
  const ports = list(container["ports"]).flatMap((port) => number(object(port)["hostPort"]) ?? []);
  return [
    ...(security["privileged"] === true ? [{ what: `${who} is privileged`, escapes: true }] : []),
    ...(more.length === 0
      ? []
      : [
          {
            what: `${who} has the capabilities ${more.join(", ")}`,
            escapes: !more.every((name) => CONFINED_CAPABILITIES.has(name)),
          },
        ]),
    ...(security["procMount"] === "Unmasked" ? [{ what: `${who} has all of /proc (procMount Unmasked)`, escapes: true }] : []),
    // On the node's network, every port is one.
    ...(ports.length === 0 || hostNetwork ? [] : [{ what: `${who} takes ports of the node (${ports.join(", ")})`, escapes: false }]),
    ...ofConfinement(who, security),
  ];
}

function ofConfinement(who: string, security: Json): Power[] {
  const unconfined = ["seccompProfile", "appArmorProfile"].filter((field) => object(security[field])["type"] === "Unconfined");
  const type = string(object(security["seLinuxOptions"])["type"]);
  return [
    ...unconfined.map((field) => ({ what: `${who} has ${field} Unconfined`, escapes: false })),
    ...(SELINUX_TYPES.has(type) ? [] : [{ what: `${who} has the SELinux type ${type}`, escapes: true }]),
  ];
}

/** Without its token it is a name only. */
function ofServiceAccount(spec: Json): Power[] {
  const name = string(spec["serviceAccountName"]);
  const projected = list(spec["volumes"]).flatMap((volume) => list(object(object(volume)["projected"])["sources"]).map(object));
  const token = spec["automountServiceAccountToken"] !== false || projected.some((source) => source["serviceAccountToken"] !== undefined);
  return name === "" || name === "default" || !token ? [] : [{ what: `it has the rights of service account ${name}`, escapes: false }];
}
