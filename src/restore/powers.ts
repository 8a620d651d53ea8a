import { DEFAULT_CAPABILITIES } from "../model/capabilities.ts";
import { list, number, object, string, type Json } from "../model/json.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";
import { each, escape, escaping, fields, fine, named, power, type Power, type Rule } from "./rules.ts";

/**
 * What makes a pod more than a plain one: whatever is not on the list of what a plain pod may have (below: the fields of the pod's API as
 * of Kubernetes 1.37). A manifest that comes with an archive may be anybody's. Those that lead out of a sandbox come first.
 */
export function powersOf(pod: Json): Power[] {
  const spec = object(pod["spec"]);
  const found = [...POD(pod, { who: say`it`, path: "" }), ...ofServiceAccount(spec), ...ofHostPorts(spec)];
  return [...found.filter(({ escapes }) => escapes), ...found.filter(({ escapes }) => !escapes)];
}

/** Without its token it is a name only. */
function ofServiceAccount(spec: Json): Power[] {
  const name = string(spec["serviceAccountName"]);
  const hasToken = spec["automountServiceAccountToken"] !== false || JSON.stringify(spec["volumes"] ?? []).includes("serviceAccountToken");
  return name === "" || name === "default" || !hasToken ? [] : [named(say`it has the rights of service account ${name}`)];
}

/** On the node's network, every port of a container is one of the node. */
function ofHostPorts({ containers, hostNetwork }: Json): Power[] {
  if (hostNetwork === true) return [];
  return list(containers)
    .map(object)
    .flatMap(({ name, ports }) => {
      const taken = list(ports).flatMap((port) => number(object(port)["hostPort"]) || []);
      return taken.length === 0 ? [] : [named(say`container ${string(name)} takes ports of the node (${joined(taken, ", ")})`)];
    });
}

/** More than that, but no further than the container's own namespaces. */
const CONFINED_CAPABILITIES = new Set(["NET_ADMIN", "NET_BROADCAST", "IPC_LOCK", "SYS_NICE", "SYS_PTRACE"]);

const capabilities: Rule = (value, { who }) => {
  const more = list(value)
    .map(string)
    .filter((name) => !DEFAULT_CAPABILITIES.has(name));
  if (more.length === 0) return [];
  const isConfined = more.every((name) => CONFINED_CAPABILITIES.has(name));
  return [{ what: say`${who} has the capabilities ${joined(more, ", ")}`, escapes: !isConfined }];
};

const SELINUX_TYPES = new Set(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]);

const seLinuxOptions = fields({
  type: (value, { who }) => (SELINUX_TYPES.has(string(value)) ? [] : [escaping(say`${who} has the SELinux type ${string(value)}`)]),
  user: power((value, { who }) => say`${who} has the SELinux user ${string(value)}`),
  role: power((value, { who }) => say`${who} has the SELinux role ${string(value)}`),
  level: power((value, { who }) => say`${who} has the SELinux level ${string(value)}`),
});

/** What pods and containers have in common. */
const CONFINEMENT: Readonly<Record<string, Rule>> = {
  runAsUser: fine,
  runAsGroup: fine,
  runAsNonRoot: fine,
  seLinuxOptions,
  seccompProfile: profile("seccompProfile"),
  appArmorProfile: profile("appArmorProfile"),
  windowsOptions: fields({
    hostProcess: escape((_, { who }) => say`${who} runs on the node itself (hostProcess)`),
    runAsUserName: power((value, { who }) => say`${who} runs as the Windows user ${string(value)}`),
    gmsaCredentialSpec: power((_, { who }) => say`${who} has the rights of a Windows service account (gmsaCredentialSpec)`),
    gmsaCredentialSpecName: power((value, { who }) => say`${who} has the rights of the Windows service account ${string(value)}`),
  }),
};

function profile(field: string): Rule {
  return (value, { who }) => {
    const { type, localhostProfile } = object(value);
    if (string(type) === "" || type === "RuntimeDefault") return [];
    const which = string(localhostProfile);
    return [named(say`${who} has ${field} ${string(type)}${which === "" ? say`` : say` (${which})`}`)];
  };
}

/** The kubelet's own request, from the node's network. */
const withHost: Rule = fields({
  host: escape((value, { who, path }) => say`${who} has the kubelet connect to ${string(value)} (${path})`),
  path: fine,
  port: fine,
  scheme: fine,
  httpHeaders: fine,
  protocol: fine,
});

const ACTION: Readonly<Record<string, Rule>> = { exec: fine, httpGet: withHost, tcpSocket: withHost };

const probe = fields({
  ...ACTION,
  grpc: fine,
  initialDelaySeconds: fine,
  timeoutSeconds: fine,
  periodSeconds: fine,
  successThreshold: fine,
  failureThreshold: fine,
  terminationGracePeriodSeconds: fine,
});

const hook = fields({ ...ACTION, sleep: fine });

const OF_EVERY_NODE = new Set(["cpu", "memory", "ephemeral-storage"]);

/** Of a container's limits or requests. */
const amounts: Rule = (value, { who }) => {
  const devices = Object.keys(object(value)).filter((resource) => !OF_EVERY_NODE.has(resource) && !resource.startsWith("hugepages-"));
  return devices.length === 0 ? [] : [escaping(say`${who} uses devices of the node (${joined(devices, ", ")})`)];
};

const resources = fields({
  requests: amounts,
  limits: amounts,
  claims: escape((_, { who }) => say`${who} uses devices by resource claims`),
});

const secret = (value: unknown, who: Phrase): Phrase => say`${who} reads the secret ${string(value)}`;
const configMap = (value: unknown, who: Phrase): Phrase => say`${who} reads the config map ${string(value)}`;

const secretRef: Rule = power((value, { who }) => secret(object(value)["name"], who));
const configMapRef: Rule = power((value, { who }) => configMap(object(value)["name"], who));

const container = fields({
  name: fine,
  image: fine,
  imagePullPolicy: fine,
  command: fine,
  args: fine,
  workingDir: fine,
  env: each(
    fields({
      name: fine,
      value: fine,
      valueFrom: fields({
        fieldRef: fine,
        resourceFieldRef: fine,
        fileKeyRef: fine,
        secretKeyRef: secretRef,
        configMapKeyRef: configMapRef,
      }),
    }),
  ),
  envFrom: each(fields({ prefix: fine, secretRef, configMapRef })),
  ports: each(fields({ name: fine, containerPort: fine, protocol: fine, hostIP: fine, hostPort: fine })),
  resources,
  resizePolicy: fine,
  restartPolicy: fine,
  restartPolicyRules: fine,
  volumeMounts: each(
    fields({
      name: fine,
      mountPath: fine,
      subPath: fine,
      subPathExpr: fine,
      readOnly: fine,
      recursiveReadOnly: fine,
      bindMountOptions: fine,
      mountPropagation: (value, { who }) =>
        ["", "None", "HostToContainer"].includes(string(value)) ? [] : [escaping(say`${who} makes mounts on the node (${string(value)})`)],
    }),
  ),
  volumeDevices: escape((_, { who }) => say`${who} has a block device (volumeDevices)`),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  lifecycle: fields({ postStart: hook, preStop: hook, stopSignal: fine }),
  terminationMessagePath: fine,
  terminationMessagePolicy: fine,
  stdin: fine,
  stdinOnce: fine,
  tty: fine,
  securityContext: fields({
    ...CONFINEMENT,
    privileged: escape((_, { who }) => say`${who} is privileged`),
    allowPrivilegeEscalation: fine,
    readOnlyRootFilesystem: fine,
    capabilities: fields({ add: capabilities, drop: fine }),
    procMount: (value, { who }) =>
      ["", "Default"].includes(string(value)) ? [] : [escaping(say`${who} has all of /proc (procMount ${string(value)})`)],
  }),
});

const called = (name: string): Phrase => say`container ${name}`;

const volume: Rule = (value, place) => VOLUME(value, { ...place, who: say`its volume ${string(object(value)["name"])}` });

/** Kinds of volumes that a plain pod may have, or that are a power of a known kind; all others lead out of a sandbox. */
const VOLUME: Rule = (value, place) => {
  const { name: _, ...sources } = object(value);
  return Object.entries(sources).flatMap(([kind, source]) => {
    const rule = Object.hasOwn(VOLUMES, kind) ? VOLUMES[kind] : undefined;
    if (source === undefined || source === null) return [];
    return rule?.(source, place) ?? [escaping(say`${place.who} is of the type ${kind}`)];
  });
};

const VOLUMES: Readonly<Record<string, Rule>> = {
  emptyDir: fine,
  downwardAPI: fine,
  image: fine,
  secret: (value, { who }) => [named(secret(object(value)["secretName"], who))],
  configMap: (value, { who }) => [named(configMap(object(value)["name"], who))],
  projected: fields({
    defaultMode: fine,
    defaultUser: fine,
    sources: each(
      fields({
        downwardAPI: fine,
        clusterTrustBundle: fine,
        secret: secretRef,
        configMap: configMapRef,
        serviceAccountToken: (value, { who }) => {
          const audience = string(object(value)["audience"]);
          const whose = audience === "" ? say`` : say` for ${audience}`;
          return [escaping(say`${who} has a token of its service account${whose}`)];
        },
        podCertificate: (_, { who }) => [escaping(say`${who} has a certificate of the pod's own`)],
      }),
    ),
  }),
  hostPath: (value, { who }) => [escaping(say`${who} is ${string(object(value)["path"])} of the node (hostPath)`)],
  persistentVolumeClaim: (value, { who }) => [escaping(say`${who} is the claim ${string(object(value)["claimName"])}`)],
  ephemeral: (_, { who }) => [escaping(say`${who} is a new claim (ephemeral)`)],
  csi: (value, { who }) => [escaping(say`${who} is of the CSI driver ${string(object(value)["driver"])}`)],
  flexVolume: (value, { who }) => [escaping(say`${who} is of the driver ${string(object(value)["driver"])} (flexVolume)`)],
  nfs: (value, { who }) => [
    escaping(say`${who} is ${string(object(value)["server"])}:${string(object(value)["path"])}, a network file system (nfs)`),
  ],
};

/** The kubelet's and the API server's own. */
const TOLERATED = new Set(["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/memory-pressure"]);

const toleration: Rule = (value) => {
  const { key, effect } = object(value);
  if (TOLERATED.has(string(key))) return [];
  const which = string(key) === "" ? say`all taints` : say`the taint ${string(key)}`;
  return [
    named(say`it tolerates ${which}${string(effect) === "" ? say`` : say` (${string(effect)})`}, which keeps other pods away from nodes`),
  ];
};

const spec = fields({
  containers: each(container, called),
  initContainers: each(container, called),
  volumes: each(volume),
  restartPolicy: fine,
  terminationGracePeriodSeconds: fine,
  activeDeadlineSeconds: fine,
  dnsPolicy: fine,
  dnsConfig: fine,
  enableServiceLinks: fine,
  hostname: fine,
  subdomain: fine,
  setHostnameAsFQDN: fine,
  hostAliases: fine,
  nodeName: fine,
  nodeSelector: fine,
  affinity: fine,
  topologySpreadConstraints: fine,
  tolerations: each(toleration),
  readinessGates: fine,
  os: fine,
  shareProcessNamespace: fine,
  hostUsers: fine,
  resources,
  // Looked at as a whole.
  serviceAccountName: fine,
  serviceAccount: fine,
  automountServiceAccountToken: fine,
  // Of what the API server fills in.
  priority: fine,
  preemptionPolicy: fine,
  overhead: fine,
  schedulerName: (value) =>
    ["", "default-scheduler"].includes(string(value)) ? [] : [named(say`it is placed by the scheduler ${string(value)}`)],
  priorityClassName: power((value) => say`it has the priority class ${string(value)}`),
  runtimeClassName: power((value) => say`it has the runtime class ${string(value)}`),
  imagePullSecrets: each(power((value) => say`its images are pulled with the secret ${string(object(value)["name"])}`)),
  resourceClaims: escape(() => say`it has resource claims, for devices of the node`),
  hostNetwork: escape(() => say`it is on the node's network (hostNetwork)`),
  hostPID: escape(() => say`it sees the node's processes (hostPID)`),
  hostIPC: escape(() => say`it shares the node's memory segments (hostIPC)`),
  securityContext: fields({
    ...CONFINEMENT,
    fsGroup: fine,
    fsGroupChangePolicy: fine,
    supplementalGroups: fine,
    supplementalGroupsPolicy: fine,
    seLinuxChangePolicy: fine,
    sysctls: each(power((value) => say`it sets ${string(object(value)["name"])} of the kernel (sysctl)`)),
  }),
});

/** Annotations with which a pod is no more than without. */
const PLAIN_ANNOTATIONS =
  /^(checkpoint\.kubectl\/|kubectl-checkpoint\/|kubectl\.kubernetes\.io\/(default-container|restartedAt|last-applied-configuration)$)/;

/** Networks, credentials and devices are given out by annotations, too. */
const annotations: Rule = (value) =>
  Object.keys(object(value)).flatMap((key) => (PLAIN_ANNOTATIONS.test(key) ? [] : [escaping(say`it has the annotation ${key}`)]));

/** What the API server adds is fine. */
const POD = fields({
  apiVersion: fine,
  kind: fine,
  status: fine,
  spec,
  metadata: (value, place) => annotations(object(value)["annotations"], place),
});
